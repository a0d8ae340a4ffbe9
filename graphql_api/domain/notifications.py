"""Messages: sending one, and sending many of one template at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.content import values
from graphql_api.content.placeholders import Personalisation
from graphql_api.domain import domain_errors, idempotency, notification_rows, sending_limits, sends
from graphql_api.domain.notification_rows import Recipient
from graphql_api.enums import Channel, UserErrorCode
from graphql_api.errors import DomainError, Invalid, raise_problems
from graphql_api.recipients import email_addresses, phone_numbers, postal_addresses
from graphql_api.recipients.errors import RecipientError
from graphql_api.recipients.lists import MAX_REFERENCE_CHARACTERS
from graphql_api.tasks import Task, enqueue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.domain.sends import PreparedSend
    from graphql_api.enums import Postage

MAX_MESSAGES_PER_CALL = 250

SMOKE_TEST_RECIPIENTS = frozenset(
    {
        "447700900000",
        "447700900111",
        "447700900222",
        "simulate-delivered@notifications.service.gov.uk",
        "simulate-delivered-2@notifications.service.gov.uk",
        "simulate-delivered-3@notifications.service.gov.uk",
    }
)
"""Recipients that clients test themselves with: a message to one passes every check, is answered, and never stored."""

_RECIPIENT_PLACEHOLDERS = {Channel.EMAIL: "emailaddress", Channel.SMS: "phonenumber"}
_RECIPIENT_NAMES = {
    Channel.EMAIL: "an email address",
    Channel.SMS: "a phone number",
    Channel.LETTER: "a postal address",
}


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one message of many."""

    index: int
    notification: models.Notification | None = None
    errors: list[DomainError] = field(default_factory=list)


class _CheckedMessage(NamedTuple):
    """One message that passed every check but the day's limits."""

    recipient: Recipient
    daily_counts: dict[str, int]

    @property
    def is_smoke_test(self) -> bool:
        return self.recipient.normalised in SMOKE_TEST_RECIPIENTS


async def send(  # noqa: PLR0913 - the fields of the input
    tx: AsyncSession,
    actor: Actor,
    *,
    signer: Signer,
    template_id: UUID,
    recipient: Mapping[str, Any],
    service_id: UUID | None = None,
    personalisation: Any = None,
    reference: str | None = None,
    postage: Postage | None = None,
    idempotency_key: str | None = None,
) -> models.Notification:
    """Send one message: it is stored, counted, and its delivery promised, or refused with every problem at once.

    A key's own service is taken where none is named. `recipient` holds one of `email_address`, `phone_number` and
    `postal_address` ({"lines": [...]}). Call `limits.spend` first, in a transaction of its own. What is answered for a
    smoke-test recipient is not in the database.
    """
    arguments = {
        "service_id": service_id or actor.key_service_id,
        "template_id": template_id,
        "recipient": recipient,
        "personalisation": personalisation,
        "reference": reference,
        "postage": postage,
    }
    call = await idempotency.begin(tx, actor, "sendNotification", idempotency_key, arguments)
    if call.stored_result and call.stored_result["stored"]:
        return await visibility.find_visible(
            tx, actor, models.Notification, UUID(call.stored_result["notification_id"])
        )
    prepared = await sends.prepare(tx, actor, service_id=service_id, template_id=template_id)
    spent = sending_limits.check(prepared.service, {prepared.channel.value: 1}, prepared.daily_usage, prepared.key_type)
    checked, problems = _check_message(
        prepared, recipient=recipient, personalisation=personalisation, reference=reference, postage=postage
    )
    raise_problems([*spent, *problems])
    if checked is None:
        raise AssertionError("a message without problems has been checked")
    made = notification_rows.build_row(
        prepared.shared_fields(actor, postage=postage),
        checked.recipient,
        signer,
        notification_id=UUID(call.stored_result["notification_id"]) if call.stored_result else uuid7(),
    )
    if checked.is_smoke_test:
        notification = await _build_unstored(tx, made)
    else:
        await sending_limits.add_daily_usage(tx, prepared.service, checked.daily_counts, prepared.key_type)
        await _insert_and_enqueue(tx, [made])
        notification = models.Notification(**made)
    if call.stored_result is None:
        await call.store_result(tx, {"notification_id": str(made["id"]), "stored": not checked.is_smoke_test})
    return notification


async def send_many(
    tx: AsyncSession,
    actor: Actor,
    *,
    signer: Signer,
    template_id: UUID,
    items: Sequence[Mapping[str, Any]],
    service_id: UUID | None = None,
    idempotency_key: str | None = None,
) -> list[SendResult]:
    """Send up to 250 messages of one template, each accepted or refused by itself; results stand in the items' order.

    An item holds `recipient`, and may hold `personalisation` and `reference`, as for `send`. Raises what concerns the
    call as a whole. Messages are accepted in order, up to the day's limit.
    """
    if not items:
        raise Invalid("Give at least one message.", "items", code=UserErrorCode.REQUIRED)
    if len(items) > MAX_MESSAGES_PER_CALL:
        message = f"Send at most {MAX_MESSAGES_PER_CALL} messages at once."
        raise Invalid(message, "items", code=UserErrorCode.TOO_MANY_ROWS)
    arguments = {
        "service_id": service_id or actor.key_service_id,
        "template_id": template_id,
        "items": items,
    }
    call = await idempotency.begin(tx, actor, "sendNotifications", idempotency_key, arguments)
    prepared = await sends.prepare(tx, actor, service_id=service_id, template_id=template_id)
    if call.stored_result:
        return await _replay_results(tx, actor, prepared, signer, items, call.stored_result["results"])
    left = await sending_limits.lock_remaining(tx, prepared.service, _limit_kinds(prepared), prepared.key_type)
    sending = prepared.shared_fields(actor)
    taken: Counter[str] = Counter()
    results, rows = [], []
    for index, item in enumerate(items):
        path = ("items", str(index))
        checked, problems = _check_message(prepared, **item)
        over = _exceeded_limits(prepared, checked, left, taken) if checked else []
        if checked is None or over:
            results.append(
                SendResult(index, errors=[problem.with_path_prefix(*path) for problem in [*problems, *over]])
            )
            continue
        row = notification_rows.build_row(sending, checked.recipient, signer, notification_id=uuid7())
        if checked.is_smoke_test:
            results.append(SendResult(index, await _build_unstored(tx, row)))
            continue
        taken.update(checked.daily_counts)
        rows.append(row)
        results.append(SendResult(index, models.Notification(**row)))
    await sending_limits.add_daily_usage(tx, prepared.service, taken, prepared.key_type)
    await _insert_and_enqueue(tx, rows)
    await call.store_result(tx, {"results": [_result_to_json(result) for result in results]})
    return results


def _check_message(
    prepared: PreparedSend,
    *,
    recipient: Mapping[str, Any],
    personalisation: Any = None,
    reference: str | None = None,
    postage: Postage | None = None,
) -> tuple[_CheckedMessage | None, list[DomainError]]:
    """Everything that one message can be refused for, in the order in which it is to be shown."""
    problems: list[DomainError] = []
    if reference is not None and len(reference) > MAX_REFERENCE_CHARACTERS:
        message = f"A reference can have at most {MAX_REFERENCE_CHARACTERS:,} characters."
        problems.append(Invalid(message, "reference", code=UserErrorCode.TOO_LONG))
    elif reference is not None and not values.is_storable(reference):
        problems.append(Invalid("The reference has characters that cannot be stored.", "reference"))
    malformed = values.check(personalisation)
    problems += [domain_errors.from_content_problem(problem, "personalisation") for problem in malformed]
    given: dict[str, Any] = {} if malformed or personalisation is None else dict(personalisation)
    try:
        read = _parse_recipient(prepared, recipient, postage)
    except DomainError as refusal:
        # The content can be judged all the same, but for a letter's, which the address fills in.
        if not malformed and prepared.channel is not Channel.LETTER:
            problems += _check_content(prepared, given, recipient)[0]
        return None, [*problems, refusal]
    if read.normalised not in prepared.audience:
        problems.append(prepared.audience.not_allowed_error("recipient"))
    if not malformed:
        wrong, given = _check_content(prepared, given, recipient, read)
        problems += wrong
    if problems:
        return None, problems
    international = bool(read.phone_number and read.phone_number.international)
    counts = sending_limits.daily_counts(prepared.channel, 1, int(international))
    return _CheckedMessage(read._replace(personalisation=given, reference=reference), counts), []


def _check_content(
    prepared: PreparedSend,
    personalisation: dict[str, Any],
    recipient: Mapping[str, Any],
    parsed_recipient: Recipient | None = None,
) -> tuple[list[DomainError], dict[str, Any]]:
    """What is wrong with the message, and its values with those that the recipient fills in."""
    filled = dict(personalisation)
    by_key = Personalisation(personalisation).by_key
    if parsed_recipient is not None and parsed_recipient.postal_address:
        filled |= parsed_recipient.postal_address.personalisation
    elif (key := _RECIPIENT_PLACEHOLDERS.get(prepared.channel)) in prepared.content.names_by_key and by_key.get(
        key
    ) is None:
        filled[key] = next(iter(recipient.values()), "")
    inspection = prepared.content.inspect(Personalisation(filled).by_key)
    return [domain_errors.from_content_problem(problem) for problem in inspection.problems], filled


def _parse_recipient(prepared: PreparedSend, recipient: Mapping[str, Any], postage: Postage | None) -> Recipient:
    """The recipient as read by the rules of its channel; raises what is wrong with it."""
    ((name, value),) = recipient.items()
    path: tuple[str, ...] = ("recipient", name)
    if sends.CHANNEL_BY_RECIPIENT_FIELD[name] is not prepared.channel:
        message = f"The template needs {_RECIPIENT_NAMES[prepared.channel]}."
        raise Invalid(message, *path, code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    if postage is not None and prepared.channel is not Channel.LETTER:
        raise Invalid("Only letters have postage.", "postage", code=UserErrorCode.POSTAGE_NOT_ALLOWED)
    permits = prepared.recipient_permissions
    try:
        if prepared.channel is Channel.EMAIL:
            return Recipient(value, email_addresses.parse(value), {})
        if prepared.channel is Channel.SMS:
            number = phone_numbers.parse(value, international=permits.international_sms, landlines=permits.landlines)
            return Recipient(value, number.normalised, {}, phone_number=number)
        lines = value["lines"]
        path = (*path, "lines")
        if not all(map(values.is_storable, lines)):
            message = "The address has characters that cannot be stored."
            raise Invalid(message, *path, code=UserErrorCode.ADDRESS_INVALID_CHARACTERS)
        address = postal_addresses.parse(lines, international=permits.international_letters)
        if postage is not None:
            path = ("postage",)
            address.resolve_postage(postage)
    except RecipientError as error:
        raise domain_errors.from_recipient_error(error, *path) from error
    return Recipient("\n".join(address.lines), address.normalised, {}, postal_address=address)


def _limit_kinds(prepared: PreparedSend) -> list[str]:
    """The day's counts that messages of a channel can add to."""
    return list(sending_limits.daily_counts(prepared.channel, 1, 1))


def _exceeded_limits(
    prepared: PreparedSend, checked: _CheckedMessage, remaining: Mapping[str, int], accepted: Mapping[str, int]
) -> list[DomainError]:
    """Which of the day's limits one more message would pass."""
    if checked.is_smoke_test or all(
        accepted.get(kind, 0) + count <= remaining[kind] for kind, count in checked.daily_counts.items()
    ):
        return []
    used = {
        kind: sending_limits.daily_limit(prepared.service, kind, prepared.key_type)
        - remaining[kind]
        + accepted.get(kind, 0)
        for kind in remaining
    }
    return list(sending_limits.check(prepared.service, checked.daily_counts, used, prepared.key_type))


async def _insert_and_enqueue(tx: AsyncSession, rows: Sequence[notification_rows.RowValues]) -> None:
    """Write messages, and promise their delivery."""
    if rows:
        await notification_rows.insert_rows(tx, rows)
        await enqueue(tx, Task.DELIVER, {"notification_ids": [str(row["id"]) for row in rows]})


async def _build_unstored(tx: AsyncSession, row: notification_rows.RowValues) -> models.Notification:
    """The message to a smoke-test recipient, which is only answered; what its template redacts is not."""
    redaction = await tx.get(models.TemplateRedaction, row["template_id"])
    if redaction is not None and redaction.redact_personalisation:
        row = row | {"personalisation": None}
    return models.Notification(**row)


def _result_to_json(result: SendResult) -> dict[str, Any]:
    """A result as JSON; of a smoke-test message only that it was accepted."""
    if result.notification is None:
        return {"errors": [domain_errors.to_json(error) for error in result.errors]}
    smoke_test = result.notification.normalised_to in SMOKE_TEST_RECIPIENTS
    return {"notification_id": str(result.notification.id), "stored": not smoke_test}


async def _replay_results(
    tx: AsyncSession,
    actor: Actor,
    prepared: PreparedSend,
    signer: Signer,
    items: Sequence[Mapping[str, Any]],
    stored_results: Sequence[Mapping[str, Any]],
) -> list[SendResult]:
    """Results as the first call answered them, the messages as they are now."""
    results = []
    for index, (item, one) in enumerate(zip(items, stored_results, strict=True)):
        if "errors" in one:
            results.append(SendResult(index, errors=[domain_errors.from_json(error) for error in one["errors"]]))
            continue
        notification_id = UUID(one["notification_id"])
        if one["stored"]:
            results.append(
                SendResult(index, await visibility.find_visible(tx, actor, models.Notification, notification_id))
            )
            continue
        checked, problems = _check_message(prepared, **item)
        if checked:
            row = notification_rows.build_row(
                prepared.shared_fields(actor), checked.recipient, signer, notification_id=notification_id
            )
            results.append(SendResult(index, await _build_unstored(tx, row)))
        else:
            results.append(
                SendResult(index, errors=[problem.with_path_prefix("items", str(index)) for problem in problems])
            )
    return results
