"""Templates: each change makes a new version; a message keeps the version from which it was made."""

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
"""Columns by argument."""

_CLEARABLE_FIELDS = ("welsh_subject", "welsh_body")
_DEFAULT_FIELDS: dict[Channel, dict[str, Any]] = {
    Channel.EMAIL: {"has_unsubscribe_link": False},
    Channel.SMS: {},
    Channel.LETTER: {"postage": Postage.SECOND, "languages": LetterLanguages.ENGLISH},
}
"""Defaults of a new template."""

_TEMPLATE_KIND_NAMES = {
    Channel.EMAIL: "an email template",
    Channel.SMS: "a text message template",
    Channel.LETTER: "a letter template",
}


class SavedTemplate(NamedTuple):
    """A template after an update: whether it changed, and which placeholders were added and removed."""

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
    """Create a template and its first version; `content` holds the fields of its channel."""
    # Locked, so that it is not archived meanwhile.
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_TEMPLATES, service.id, "service_id")
    user_id = actor.require_person()
    arguments = {"service_id": service_id, "name": name, "channel": channel, "content": content}
    call = await idempotency.begin(tx, actor, "createTemplate", idempotency_key, arguments)
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
    """Save a new version; `changes` holds the name, and fields of the template's `channel`."""
    template, service, user_id = await _find_for_change(tx, actor, template_id)
    require_active(service, "template_id")
    require_current(template)
    versions.require_version(template, expected_version)
    own_channel = Channel(template.template_type)
    if channel not in {None, own_channel}:
        message = f"This is {_TEMPLATE_KIND_NAMES[own_channel]}: its channel cannot change."
        raise Invalid(message, "content", str(channel), code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    changed_fields = _strip_subjects({field: value for field, value in changes.items() if field in COLUMN_BY_FIELD})
    name = changes.get("name", template.name)
    fields = _merge_fields(template, changed_fields)
    raise_problems(
        [
            *await _check_channel_enabled(tx, service.id, own_channel),
            *_check_not_cleared(own_channel, changed_fields),
            *_validate(own_channel, name, fields),
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
    """Archive a template as a new version, and take it out of its folder; a second call changes nothing."""
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
    """Hide the personalisation of every message of a template permanently; makes no version."""
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
    """Names of a template's placeholders by normalised name."""
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
    """The template, locked, its service, and the id of the caller."""
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
    """Problems of a channel that is not one of the service's features."""
    row = models.ServiceFeature
    feature = await tx.scalar(select(row.permission).where(row.service_id == service_id, row.permission == channel))
    if feature:
        return []
    message = "The service cannot send messages of this kind: switch the channel on first."
    return [Invalid(message, "content", channel, code=UserErrorCode.CHANNEL_NOT_ENABLED)]


def _strip_subjects(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        field: value.strip() if field.endswith("subject") and value is not None else value
        for field, value in fields.items()
    }


def _merge_fields(template: models.Template, changed_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Every field after the change; `languages` ENGLISH clears the Welsh fields."""
    fields: dict[str, Any] = {field: getattr(template, column) for field, column in COLUMN_BY_FIELD.items()}
    fields.update(changed_fields)
    if changed_fields.get("languages") is LetterLanguages.ENGLISH:
        fields |= {field: changed_fields.get(field) for field in _CLEARABLE_FIELDS}
    return fields


def _check_not_cleared(channel: Channel, changed_fields: Mapping[str, Any]) -> Iterator[Invalid]:
    """Problems of fields that cannot be null; the content rules check the texts."""
    for field in ("has_unsubscribe_link", "postage", "languages"):
        if field in changed_fields:
            yield from checks.not_null(changed_fields[field], "content", channel, field)


def _parse_languages(stored: str | None) -> LetterLanguages:
    """The stored languages; English for an unknown value, which another program may have written."""
    try:
        return LetterLanguages(stored or LetterLanguages.ENGLISH)
    except ValueError:
        return LetterLanguages.ENGLISH


def _validate(channel: Channel, name: str | None, fields: Mapping[str, Any]) -> Iterator[DomainError]:
    problems = messages.check_template(
        channel,
        (name or "").strip(),
        fields.get("subject"),
        fields.get("body") or "",
        languages=_parse_languages(fields.get("languages")),
        welsh_subject=fields.get("welsh_subject"),
        welsh_body=fields.get("welsh_body"),
    )
    for problem in problems:
        path = problem.path if problem.path == ("name",) else ("content", channel, *problem.path)
        yield domain_errors.from_content_problem(replace(problem, path=path))
    if fields.get("postage") and fields["postage"] not in UK_POSTAGE:
        message = "Choose first class, second class or economy: the others follow from the address."
        yield Invalid(message, "content", channel, "postage", code=UserErrorCode.POSTAGE_NOT_ALLOWED)
