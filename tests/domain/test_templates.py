"""Templates: checks, versions, archiving and redaction."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.domain import templates
from graphql_api.enums import Channel, LetterLanguages, Postage, ServicePermission, UserErrorCode
from graphql_api.errors import (
    DomainError,
    Forbidden,
    IdempotencyConflict,
    IllegalState,
    Invalid,
    MessageTooLong,
    NotFound,
    VersionConflict,
)
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor

TEXT = {"body": "Hello ((name))"}
EMAIL = {"subject": " Your ((thing)) ", "body": "Hello ((name))"}
PERMISSION = ServicePermission.MANAGE_TEMPLATES


class Templates:
    """Creates and changes templates as the schema does."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def create(
        self, actor: Actor, service: models.Service, channel: Channel = Channel.SMS, **values: Any
    ) -> models.Template:
        arguments = {"name": "Reminder", "content": TEXT} | values
        async with self.database.transaction() as tx:
            return await templates.create(tx, actor, service_id=service.id, channel=channel, **arguments)

    async def update(
        self,
        actor: Actor,
        template: models.Template,
        channel: Channel | None = None,
        expected_version: int | None = None,
        **changes: Any,
    ) -> templates.SavedTemplate:
        async with self.database.transaction() as tx:
            return await templates.update(
                tx,
                actor,
                template_id=template.id,
                channel=channel,
                expected_version=expected_version,
                changes=changes,
            )

    async def archive(self, actor: Actor, template: models.Template) -> models.Template:
        async with self.database.transaction() as tx:
            return await templates.archive(tx, actor, template_id=template.id)

    async def redact(self, actor: Actor, template: models.Template) -> models.Template:
        async with self.database.transaction() as tx:
            return await templates.redact(tx, actor, template_id=template.id)

    async def rows(self, *columns: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            return list(await tx.execute(select(*columns).order_by(*columns)))

    async def versions(self, *columns: Any) -> list[Any]:
        return await self.rows(models.TemplateHistory.version, *columns)


@pytest.fixture
def template_service(database: Database) -> Templates:
    return Templates(database)


@pytest.fixture
async def member(make: Builders, service: models.Service) -> Actor:
    return user_actor(await make.member(service), service)


async def test_a_new_template_has_a_first_version(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    template = await template_service.create(member, service, Channel.EMAIL, name=" Reminder ", content=EMAIL)

    assert (template.name, template.subject, template.content, template.has_unsubscribe_link, template.version) == (
        "Reminder",
        "Your ((thing))",
        "Hello ((name))",
        False,
        1,
    )
    row, redaction = models.TemplateHistory, models.TemplateRedaction
    assert await template_service.rows(row.id, row.version, row.subject, row.created_by_id) == [
        (template.id, 1, "Your ((thing))", member.user_id)
    ]
    assert await template_service.rows(redaction.template_id, redaction.redact_personalisation) == [
        (template.id, False)
    ]


async def test_a_letter_is_second_class_and_english_by_default(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    template = await template_service.create(
        member, service, Channel.LETTER, content={**EMAIL, "postage": None, "languages": None}
    )

    assert (template.postage, template.letter_languages) == ("second", "english")


async def test_a_letter_can_have_two_languages(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    welsh = {"languages": LetterLanguages.WELSH_THEN_ENGLISH, "welsh_subject": "Helo", "welsh_body": "((enw))"}
    template = await template_service.create(member, service, Channel.LETTER, content=EMAIL | welsh)
    assert templates.placeholder_names(template) == {"thing": "thing", "name": "name", "enw": "enw"}

    saved = await template_service.update(member, template, Channel.LETTER, languages=LetterLanguages.ENGLISH)

    assert (saved.template.letter_welsh_subject, saved.template.letter_welsh_content) == (None, None)
    assert saved.placeholders_removed == ["enw"]


@pytest.mark.parametrize(
    ("channel", "values", "expected"),
    [
        (Channel.SMS, {"content": {"body": " "}}, [(UserErrorCode.REQUIRED, ("content", "sms", "body"))]),
        (
            Channel.EMAIL,
            {"name": "", "content": {"subject": "", "body": ""}},
            [
                (UserErrorCode.REQUIRED, ("name",)),
                (UserErrorCode.REQUIRED, ("content", "email", "subject")),
                (UserErrorCode.REQUIRED, ("content", "email", "body")),
            ],
        ),
        (
            Channel.LETTER,
            {"content": EMAIL | {"postage": Postage.EUROPE, "languages": LetterLanguages.WELSH_THEN_ENGLISH}},
            [
                (UserErrorCode.REQUIRED, ("content", "letter", "welshSubject")),
                (UserErrorCode.REQUIRED, ("content", "letter", "welshBody")),
                (UserErrorCode.POSTAGE_NOT_ALLOWED, ("content", "letter", "postage")),
            ],
        ),
        (Channel.SMS, {"name": "x" * 256}, [(UserErrorCode.TOO_LONG, ("name",))]),
    ],
)
async def test_what_cannot_be_sent_cannot_be_saved(
    template_service: Templates,
    service: models.Service,
    member: Actor,
    channel: Channel,
    values: dict[str, Any],
    expected: list[tuple[UserErrorCode, tuple[str, ...]]],
) -> None:
    with pytest.raises(DomainError) as raised:
        await template_service.create(member, service, channel, **values)

    problems = getattr(raised.value, "problems", [raised.value])
    assert [(problem.code, problem.path) for problem in problems] == expected
    assert await template_service.rows(models.Template.id) == []


async def test_a_text_message_above_918_characters_cannot_be_saved(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    with pytest.raises(MessageTooLong) as raised:
        await template_service.create(member, service, content={"body": "a" * 919})

    assert (raised.value.length, raised.value.limit, raised.value.path) == (919, 918, ("content", "sms", "body"))
    assert (await template_service.create(member, service, content={"body": "a" * 918})).version == 1


async def test_the_channel_must_be_switched_on(template_service: Templates, make: Builders) -> None:
    service = await make.service(features=["email"])
    actor = user_actor(await make.member(service), service)
    with pytest.raises(Invalid) as raised:
        await template_service.create(actor, service)
    assert (raised.value.code, raised.value.path) == (UserErrorCode.CHANNEL_NOT_ENABLED, ("content", "sms"))

    old = await make.template(service)
    with pytest.raises(Invalid) as update:
        await template_service.update(actor, old, name="Newer")
    assert update.value.code is UserErrorCode.CHANNEL_NOT_ENABLED


async def test_creating_a_template_needs_the_permission(
    template_service: Templates, make: Builders, service: models.Service
) -> None:
    template = await make.template(service)
    lesser = user_actor(await make.member(service), service, permissions=set(ServicePermission) - {PERMISSION})
    for actor in (lesser, api_key_actor(await make.api_key(service))):
        with pytest.raises(Forbidden):
            await template_service.create(actor, service)
        with pytest.raises(Forbidden):
            await template_service.update(actor, template, name="Mine")
        with pytest.raises(Forbidden):
            await template_service.archive(actor, template)
        with pytest.raises(Forbidden):
            await template_service.redact(actor, template)
    for attempt in (
        template_service.create(stranger(), service),
        template_service.update(stranger(), template, name="Mine"),
    ):
        with pytest.raises(NotFound):
            await attempt

    assert await template_service.rows(models.Template.name, models.Template.version) == [(template.name, 1)]
    assert (await template_service.create(platform_admin(await make.user()), service)).version == 1


async def test_a_save_makes_a_version_of_the_caller(
    template_service: Templates, make: Builders, service: models.Service
) -> None:
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)

    saved = await template_service.update(actor, template, Channel.SMS, name="Newer", body="Bye ((name)) of ((Town))")

    assert (saved.changed, saved.placeholders_added, saved.placeholders_removed) == (True, ["Town"], [])
    assert (saved.template.version, saved.template.created_by_id) == (2, actor.user_id)
    row = models.TemplateHistory
    assert await template_service.versions(
        row.name, row.content, row.created_by_id, row.created_at, row.updated_at
    ) == [
        (1, template.name, "Hello ((name))", template.created_by_id, template.created_at, None),
        (2, "Newer", "Bye ((name)) of ((Town))", actor.user_id, template.created_at, saved.template.updated_at),
    ]


async def test_saving_equal_values_makes_no_version(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service, Channel.LETTER)

    saved = await template_service.update(
        member,
        template,
        Channel.LETTER,
        name=f" {template.name}",
        subject=template.subject,
        postage=Postage.SECOND,
        languages=LetterLanguages.ENGLISH,
    )

    assert (saved.changed, saved.template.version, saved.template.updated_at) == (False, 1, None)
    assert await template_service.versions() == [(1,)]


async def test_an_outdated_version_cannot_be_saved(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    await template_service.update(member, template, name="Newer", expected_version=1)

    with pytest.raises(VersionConflict) as raised:
        await template_service.update(member, template, name="Newest", expected_version=1)

    assert (raised.value.expected_version, raised.value.current_version) == (1, 2)


async def test_its_channel_never_changes(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    with pytest.raises(Invalid) as raised:
        await template_service.update(member, template, Channel.EMAIL, body="Hello")

    assert (raised.value.code, raised.value.path) == (
        UserErrorCode.TEMPLATE_CHANNEL_MISMATCH,
        ("content", "email"),
    )


async def test_required_fields_cannot_be_cleared(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service, Channel.EMAIL)
    with pytest.raises(DomainError) as raised:
        await template_service.update(
            member, template, Channel.EMAIL, name=None, subject=None, has_unsubscribe_link=None
        )

    assert [(problem.code, problem.path) for problem in raised.value.problems] == [  # type: ignore[attr-defined]
        (UserErrorCode.REQUIRED, ("content", "email", "has_unsubscribe_link")),
        (UserErrorCode.REQUIRED, ("name",)),
        (UserErrorCode.REQUIRED, ("content", "email", "subject")),
    ]


async def test_archiving_removes_it_from_its_folder(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    folder = models.TemplateFolder(service_id=service.id, name="Old")
    await make.add(
        folder,
        models.FolderPermission(user_id=member.user_id, template_folder_id=folder.id, service_id=service.id),
        models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id),
    )

    archived = await template_service.archive(member, template)

    assert (archived.archived, archived.version) == (True, 2)
    assert await template_service.versions(models.TemplateHistory.archived) == [(1, False), (2, True)]
    assert await template_service.rows(models.TemplateFolderEntry.template_id) == []
    assert (await template_service.archive(member, template)).version == 2
    with pytest.raises(IllegalState) as raised:
        await template_service.update(member, template, name="Newer")
    assert raised.value.code is UserErrorCode.TEMPLATE_ARCHIVED


async def test_a_template_in_an_invisible_folder_is_not_found(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    folder = models.TemplateFolder(service_id=service.id, name="Secret")
    await make.add(folder, models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id))

    with pytest.raises(NotFound) as raised:
        await template_service.archive(member, template)

    assert raised.value.path == ("template_id",)


async def test_redacting_is_permanent_and_makes_no_version(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    assert (await template_service.redact(member, template)).version == 1
    row = models.TemplateRedaction
    first = await template_service.rows(row.redact_personalisation, row.updated_by_id, row.updated_at)
    assert [(redacted, by) for redacted, by, _ in first] == [(True, member.user_id)]

    await template_service.redact(user_actor(await make.member(service), service), template)

    assert await template_service.rows(row.redact_personalisation, row.updated_by_id, row.updated_at) == first
    assert await template_service.versions() == [(1,)]


async def test_an_old_template_without_the_row_can_be_redacted_too(
    template_service: Templates, make: Builders, service: models.Service, member: Actor
) -> None:
    old = models.Template(
        service_id=service.id, name="Old", template_type="sms", content="Hi", created_by_id=member.user_id
    )
    await make.add(old, old.snapshot())

    await template_service.redact(member, old)

    row = models.TemplateRedaction
    assert await template_service.rows(row.template_id, row.redact_personalisation) == [(old.id, True)]


async def test_calls_with_the_same_idempotency_key_make_one_template(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    first = await template_service.create(member, service, idempotency_key="k")
    again = await template_service.create(member, service, idempotency_key="k")
    assert again.id == first.id

    with pytest.raises(IdempotencyConflict) as raised:
        await template_service.create(member, service, idempotency_key="k", name="Another")

    assert raised.value.code is UserErrorCode.IDEMPOTENCY_KEY_REUSED
    assert await template_service.rows(models.Template.id) == [(first.id,)]
    assert await template_service.versions() == [(1,)]


async def test_an_error_releases_the_idempotency_key(
    template_service: Templates, service: models.Service, member: Actor
) -> None:
    with pytest.raises(Invalid):
        await template_service.create(member, service, idempotency_key="k", content={"body": ""})

    assert (await template_service.create(member, service, idempotency_key="k")).version == 1


async def test_an_archived_service_cannot_have_new_templates(template_service: Templates, make: Builders) -> None:
    service = await make.service(active=False)
    actor = user_actor(await make.member(service), service)
    template = await make.template(service)
    for attempt in (template_service.create(actor, service), template_service.update(actor, template, name="Newer")):
        with pytest.raises(IllegalState) as raised:
            await attempt
        assert raised.value.code is UserErrorCode.SERVICE_ARCHIVED


async def test_an_unknown_id_is_not_found(template_service: Templates, member: Actor) -> None:
    missing = models.Template(id=uuid4())
    with pytest.raises(NotFound) as raised:
        await template_service.update(member, missing, name="Newer")

    assert raised.value.missing_id == str(missing.id)
