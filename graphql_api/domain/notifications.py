"""Notifications: send one message, or many of one template."""

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
"""Recipients for tests of clients: a message to one of them is checked and returned, but not stored."""

_RECIPIENT_PLACEHOLDERS = {Channel.EMAIL: "emailaddress", Channel.SMS: "phonenumber"}
_RECIPIENT_NAMES = {
    Channel.EMAIL: "an email address",
    Channel.SMS: "a phone number",
    Channel.LETTER: "a postal address",
}


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one message of `send_many`: a notification or errors."""

    index: int
    notification: models.Notification | None = None
    errors: list[DomainError] = field(default_factory=list)


class _CheckedMessage(NamedTuple):
    """A message that passed every check except the daily limits."""

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
    """Check, store and count one message, and enqueue its delivery.

    `service_id` defaults to the API key's service. `recipient` holds one of `email_address`, `phone_number` and
    `postal_address` ({"lines": [...]}). Call `sending_limits.consume_token` before, in its own transaction. The
    notification for a smoke-test recipient is not stored. Raises `Problems` with every problem.
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
    limit_errors = sending_limits.check(
        prepared.service, {prepared.channel.value: 1}, prepared.daily_usage, prepared.key_type
    )
    checked, problems = _check_message(
        prepared, recipient=recipient, personalisation=personalisation, reference=reference, postage=postage
    )
    raise_problems([*limit_errors, *problems])
    if checked is None:
        raise AssertionError("a message without problems has been checked")
    row = notification_rows.build_row(
        prepared.shared_fields(actor, postage=postage),
        checked.recipient,
        signer,
        notification_id=UUID(call.stored_result["notification_id"]) if call.stored_result else uuid7(),
    )
    if checked.is_smoke_test:
        notification = await _build_unstored(tx, row)
    else:
        await sending_limits.add_daily_usage(tx, prepared.service, checked.daily_counts, prepared.key_type)
        await _insert_and_enqueue(tx, [row])
        notification = models.Notification(**row)
    if call.stored_result is None:
        await call.store_result(tx, {"notification_id": str(row["id"]), "stored": not checked.is_smoke_test})
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
    """Send up to 250 messages of one template; the results are in the order of the items.

    An item holds `recipient`, and optionally `personalisation` and `reference`, as for `send`. Errors of an item are in
    its result; errors of the whole call are raised. Messages are accepted in order, up to the daily limit.
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
    remaining = await sending_limits.lock_remaining(tx, prepared.service, _limit_kinds(prepared), prepared.key_type)
    shared_fields = prepared.shared_fields(actor)
    accepted: Counter[str] = Counter()
    results, rows = [], []
    for index, item in enumerate(items):
        path = ("items", str(index))
        checked, problems = _check_message(prepared, **item)
        limit_errors = _exceeded_limits(prepared, checked, remaining, accepted) if checked else []
        if checked is None or limit_errors:
            results.append(
                SendResult(index, errors=[problem.with_path_prefix(*path) for problem in [*problems, *limit_errors]])
            )
            continue
        row = notification_rows.build_row(shared_fields, checked.recipient, signer, notification_id=uuid7())
        if checked.is_smoke_test:
            results.append(SendResult(index, await _build_unstored(tx, row)))
            continue
        accepted.update(checked.daily_counts)
        rows.append(row)
        results.append(SendResult(index, models.Notification(**row)))
    await sending_limits.add_daily_usage(tx, prepared.service, accepted, prepared.key_type)
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
    """Check one message against everything but the daily limits; problems are in the order of the fields."""
    problems: list[DomainError] = []
    if reference is not None and len(reference) > MAX_REFERENCE_CHARACTERS:
        message = f"A reference can have at most {MAX_REFERENCE_CHARACTERS:,} characters."
        problems.append(Invalid(message, "reference", code=UserErrorCode.TOO_LONG))
    elif reference is not None and not values.is_storable(reference):
        problems.append(Invalid("The reference has characters that cannot be stored.", "reference"))
    malformed = values.check(personalisation)
    problems += [domain_errors.from_content_problem(problem, "personalisation") for problem in malformed]
    placeholder_values: dict[str, Any] = {} if malformed or personalisation is None else dict(personalisation)
    try:
        parsed = _parse_recipient(prepared, recipient, postage)
    except DomainError as error:
        # The content can be checked all the same, except a letter's, whose placeholders the address fills.
        if not malformed and prepared.channel is not Channel.LETTER:
            problems += _check_content(prepared, placeholder_values, recipient)[0]
        return None, [*problems, error]
    if parsed.normalised not in prepared.audience:
        problems.append(prepared.audience.not_allowed_error("recipient"))
    if not malformed:
        content_problems, placeholder_values = _check_content(prepared, placeholder_values, recipient, parsed)
        problems += content_problems
    if problems:
        return None, problems
    international = bool(parsed.phone_number and parsed.phone_number.international)
    counts = sending_limits.daily_counts(prepared.channel, 1, int(international))
    return _CheckedMessage(parsed._replace(personalisation=placeholder_values, reference=reference), counts), []


def _check_content(
    prepared: PreparedSend,
    personalisation: dict[str, Any],
    recipient: Mapping[str, Any],
    parsed_recipient: Recipient | None = None,
) -> tuple[list[DomainError], dict[str, Any]]:
    """Problems of the content, and the personalisation with the values that the recipient provides."""
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
    """The recipient, parsed by the rules of its channel. Raises `Invalid`."""
    ((name, value),) = recipient.items()
    path: tuple[str, ...] = ("recipient", name)
    if sends.CHANNEL_BY_RECIPIENT_FIELD[name] is not prepared.channel:
        message = f"The template needs {_RECIPIENT_NAMES[prepared.channel]}."
        raise Invalid(message, *path, code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    if postage is not None and prepared.channel is not Channel.LETTER:
        raise Invalid("Only letters have postage.", "postage", code=UserErrorCode.POSTAGE_NOT_ALLOWED)
    allowed = prepared.recipient_permissions
    try:
        if prepared.channel is Channel.EMAIL:
            return Recipient(value, email_addresses.parse(value), {})
        if prepared.channel is Channel.SMS:
            number = phone_numbers.parse(value, international=allowed.international_sms, landlines=allowed.landlines)
            return Recipient(value, number.normalised, {}, phone_number=number)
        lines = value["lines"]
        path = (*path, "lines")
        if not all(map(values.is_storable, lines)):
            message = "The address has characters that cannot be stored."
            raise Invalid(message, *path, code=UserErrorCode.ADDRESS_INVALID_CHARACTERS)
        address = postal_addresses.parse(lines, international=allowed.international_letters)
        if postage is not None:
            path = ("postage",)
            address.resolve_postage(postage)
    except RecipientError as error:
        raise domain_errors.from_recipient_error(error, *path) from error
    return Recipient("\n".join(address.lines), address.normalised, {}, postal_address=address)


def _limit_kinds(prepared: PreparedSend) -> list[str]:
    """Kinds of daily counts that messages of the channel add to."""
    return list(sending_limits.daily_counts(prepared.channel, 1, 1))


def _exceeded_limits(
    prepared: PreparedSend, checked: _CheckedMessage, remaining: Mapping[str, int], accepted: Mapping[str, int]
) -> list[DomainError]:
    """Errors of the daily limits that one more message would exceed."""
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
    """Insert messages, and enqueue their delivery."""
    if rows:
        await notification_rows.insert_rows(tx, rows)
        await enqueue(tx, Task.DELIVER, {"notification_ids": [str(row["id"]) for row in rows]})


async def _build_unstored(tx: AsyncSession, row: notification_rows.RowValues) -> models.Notification:
    """A message to a smoke-test recipient, not inserted; without personalisation if the template redacts it."""
    redaction = await tx.get(models.TemplateRedaction, row["template_id"])
    if redaction is not None and redaction.redact_personalisation:
        row = row | {"personalisation": None}
    return models.Notification(**row)


def _result_to_json(result: SendResult) -> dict[str, Any]:
    """A result as JSON; that of a smoke-test message has `stored` false."""
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
    """The results of the first call, with the current state of the messages."""
    results = []
    for index, (item, stored_result) in enumerate(zip(items, stored_results, strict=True)):
        if "errors" in stored_result:
            results.append(
                SendResult(index, errors=[domain_errors.from_json(error) for error in stored_result["errors"]])
            )
            continue
        notification_id = UUID(stored_result["notification_id"])
        if stored_result["stored"]:
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
