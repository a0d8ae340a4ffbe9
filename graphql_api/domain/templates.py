"""Templates: every save that changes something is a version, and past messages keep the version they were made from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.content import messages
from graphql_api.domain import checks, domain_errors, idempotency, versions
from graphql_api.domain.service_states import require_active
from graphql_api.enums import Channel, LetterLanguages, Postage, ServicePermission, UserErrorCode
from graphql_api.errors import DomainError, IllegalState, Invalid, raise_problems
from graphql_api.recipients.postal_addresses import UK_POSTAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

CURRENT, ARCHIVED = "CURRENT", "ARCHIVED"

COLUMN_BY_FIELD = {
    "subject": "subject",
    "body": "content",
    "has_unsubscribe_link": "has_unsubscribe_link",
    "postage": "postage",
    "languages": "letter_languages",
    "welsh_subject": "letter_welsh_subject",
    "welsh_body": "letter_welsh_content",
}
"""Columns by the names of the arguments."""

_CLEARABLE_FIELDS = ("welsh_subject", "welsh_body")
_DEFAULT_FIELDS: dict[Channel, dict[str, Any]] = {
    Channel.EMAIL: {"has_unsubscribe_link": False},
    Channel.SMS: {},
    Channel.LETTER: {"postage": Postage.SECOND, "languages": LetterLanguages.ENGLISH},
}
"""What a new template has where nobody says otherwise."""


_TEMPLATE_KIND_NAMES = {
    Channel.EMAIL: "an email template",
    Channel.SMS: "a text message template",
    Channel.LETTER: "a letter template",
}


class SavedTemplate(NamedTuple):
    """A template after a save: whether anything differed, and which placeholders came and went."""

    template: models.Template
    changed: bool
    placeholders_added: list[str]
    placeholders_removed: list[str]


async def create(
    tx: AsyncSession,
    actor: Actor,
    *,
    service_id: UUID,
    name: str,
    channel: Channel,
    content: Mapping[str, Any],
    idempotency_key: str | None = None,
) -> models.Template:
    """Add a template to a service, with its first version; `content` holds the fields of its channel."""
    # Locked, for it may be about to close.
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_TEMPLATES, service.id, "service_id")
    user_id = actor.require_person()
    asked = {"service_id": service_id, "name": name, "channel": channel, "content": content}
    call = await idempotency.begin(tx, actor, "createTemplate", idempotency_key, asked)
    if call.stored_result is not None:
        return await tx.get_one(models.Template, UUID(call.stored_result["id"]))
    require_active(service)
    fields = _strip_subjects(
        _DEFAULT_FIELDS[channel] | {field: value for field, value in content.items() if value is not None}
    )
    raise_problems([*await _check_channel_enabled(tx, service_id, channel), *_validate(channel, name, fields)])
    template = models.Template(
        service_id=service_id,
        name=name.strip(),
        template_type=channel,
        created_by_id=user_id,
        **{COLUMN_BY_FIELD[field]: value for field, value in fields.items()},
    )
    tx.add_all([template, template.snapshot()])
    await tx.flush()
    tx.add(models.TemplateRedaction(template_id=template.id, updated_by_id=user_id))
    await tx.flush()
    await call.store_result(tx, {"id": str(template.id)})
    return template


async def update(
    tx: AsyncSession,
    actor: Actor,
    *,
    template_id: UUID,
    changes: Mapping[str, Any],
    channel: Channel | None = None,
    expected_version: int | None = None,
) -> SavedTemplate:
    """Save a new version; `changes` holds the name and the fields of the template's `channel` that are given."""
    template, service, user_id = await _find_for_change(tx, actor, template_id)
    require_active(service, "template_id")
    require_current(template)
    versions.require_version(template, expected_version)
    own = Channel(template.template_type)
    if channel not in {None, own}:
        message = f"This is {_TEMPLATE_KIND_NAMES[own]}: its channel cannot change."
        raise Invalid(message, "content", str(channel), code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    given = _strip_subjects({field: value for field, value in changes.items() if field in COLUMN_BY_FIELD})
    name = changes.get("name", template.name)
    fields = _merge_fields(template, given)
    raise_problems(
        [
            *await _check_channel_enabled(tx, service.id, own),
            *_check_not_cleared(own, given),
            *_validate(own, name, fields),
        ]
    )
    before = placeholder_names(template)
    values = {"name": name.strip()} | {COLUMN_BY_FIELD[field]: value for field, value in fields.items()}
    if not versions.apply_changes(template, values):
        return SavedTemplate(template, False, [], [])
    template.created_by_id = user_id
    tx.add(versions.increment(template))
    await tx.flush()
    after = placeholder_names(template)
    return SavedTemplate(
        template,
        True,
        [name for key, name in after.items() if key not in before],
        [name for key, name in before.items() if key not in after],
    )


async def archive(tx: AsyncSession, actor: Actor, *, template_id: UUID) -> models.Template:
    """Take a template out of use and out of its folder, as a version; a second call changes nothing."""
    template, service, user_id = await _find_for_change(tx, actor, template_id)
    if template.archived:
        return template
    require_active(service, "template_id")
    template.archived = True
    template.created_by_id = user_id
    tx.add(versions.increment(template))
    await tx.execute(delete(models.TemplateFolderEntry).where(models.TemplateFolderEntry.template_id == template_id))
    await tx.flush()
    return template


async def redact(tx: AsyncSession, actor: Actor, *, template_id: UUID) -> models.Template:
    """Hide the personalisation of a template's messages, past ones too, for good; it makes no version."""
    template, _, user_id = await _find_for_change(tx, actor, template_id)
    redaction = await tx.get(models.TemplateRedaction, template_id)
    if redaction is None:
        redaction = models.TemplateRedaction(template_id=template_id)
        tx.add(redaction)
    if not redaction.redact_personalisation:
        redaction.redact_personalisation = True
        redaction.updated_by_id = user_id
        await tx.flush()
    return template


def placeholder_names(template: models.Template) -> dict[str, str]:
    """Names of a template's placeholders as it spells them, by the form in which they are compared."""
    return compile_content(template).names_by_key


def compile_content(
    template: models.Template | models.TemplateHistory, *, sms_prefix: str | None = None
) -> messages.CompiledTemplate:
    """The template's content, parsed at its placeholders; `sms_prefix` precedes the body of a text message."""
    return messages.CompiledTemplate(
        Channel(template.template_type),
        subject=template.subject,
        body=template.content,
        prefix=sms_prefix,
        welsh_subject=template.letter_welsh_subject,
        welsh_body=template.letter_welsh_content,
    )


async def _find_for_change(
    tx: AsyncSession, actor: Actor, template_id: UUID
) -> tuple[models.Template, models.Service, UUID]:
    """A template to be changed, its service, and who changes it."""
    template = await visibility.find_visible(tx, actor, models.Template, template_id, "template_id", lock=True)
    actor.require(ServicePermission.MANAGE_TEMPLATES, template.service_id, "template_id")
    return template, await tx.get_one(models.Service, template.service_id), actor.require_person()


def require_current(template: models.Template) -> None:
    """Raise `IllegalState` for a template that is archived."""
    if template.archived:
        raise IllegalState(
            "The template is archived.",
            "template_id",
            current=ARCHIVED,
            allowed=[CURRENT],
            code=UserErrorCode.TEMPLATE_ARCHIVED,
        )


async def _check_channel_enabled(tx: AsyncSession, service_id: UUID, channel: Channel) -> list[DomainError]:
    """The channel has to be one of the service's features."""
    row = models.ServiceFeature
    found = await tx.scalar(select(row.permission).where(row.service_id == service_id, row.permission == channel))
    if found:
        return []
    message = "The service cannot send messages of this kind: switch the channel on first."
    return [Invalid(message, "content", channel, code=UserErrorCode.CHANNEL_NOT_ENABLED)]


def _strip_subjects(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: value.strip() if field.endswith("subject") and value is not None else value
        for field, value in fields.items()
    }


def _merge_fields(template: models.Template, changed_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of the template's channel, as it will be; English alone leaves no Welsh behind."""
    fields: dict[str, Any] = {field: getattr(template, column) for field, column in COLUMN_BY_FIELD.items()}
    fields.update(changed_fields)
    if changed_fields.get("languages") is LetterLanguages.ENGLISH:
        fields |= {field: changed_fields.get(field) for field in _CLEARABLE_FIELDS}
    return fields


def _check_not_cleared(channel: Channel, changed_fields: Mapping[str, Any]) -> Iterator[Invalid]:
    """Fields that may be changed, not cleared; of texts the content rules tell that they are needed."""
    for field in ("has_unsubscribe_link", "postage", "languages"):
        if field in changed_fields:
            yield from checks.not_null(changed_fields[field], "content", channel, field)


def _parse_languages(stored: str | None) -> LetterLanguages:
    """English for a value that is not known here: another program may have written it."""
    try:
        return LetterLanguages(stored or LetterLanguages.ENGLISH)
    except ValueError:
        return LetterLanguages.ENGLISH


def _validate(channel: Channel, name: str | None, fields: Mapping[str, Any]) -> Iterator[DomainError]:
    found = messages.check_template(
        channel,
        (name or "").strip(),
        fields.get("subject"),
        fields.get("body") or "",
        languages=_parse_languages(fields.get("languages")),
        welsh_subject=fields.get("welsh_subject"),
        welsh_body=fields.get("welsh_body"),
    )
    for problem in found:
        path = problem.path if problem.path == ("name",) else ("content", channel, *problem.path)
        yield domain_errors.from_content_problem(replace(problem, path=path))
    if fields.get("postage") and fields["postage"] not in UK_POSTAGE:
        message = "Choose first class, second class or economy: the others follow from the address."
        yield Invalid(message, "content", channel, "postage", code=UserErrorCode.POSTAGE_NOT_ALLOWED)
