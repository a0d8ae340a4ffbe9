"""Templates in GraphQL: their versions, previews and changes."""

from __future__ import annotations

from typing import Any

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import Channel
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

CONTENT = """version name channel subject body savedAt savedBy { id }
    placeholders { name conditional conditionalText inSubject }
    email { hasUnsubscribeLink } sms { characterCount fragmentCount usesUnicode }
    letter { postage languages welshSubject welshBody }"""
ONE = f"""query ($id: ID!) {{ template(id: $id) {{
    id archived redactPersonalisation createdAt updatedAt createdBy {{ id }} service {{ id }} {CONTENT}
}} }}"""
HISTORY = f"""query ($id: ID!, $version: Int!) {{ template(id: $id) {{
    versions {{ totalCount nodes {{ id version name archived }} }}
    atVersion(version: $version) {{ id archived template {{ version }} {CONTENT} }}
}} }}"""
RENDERED = """channel subject text html preheader missingPlaceholders unusedPersonalisation
    sms { characterCount characterLimit encoding fragmentCount replacedCharacters { original replacement } }
    errors { __typename code path ... on MissingPersonalisationError { placeholders } }"""
PREVIEW = f"""query ($id: ID!, $personalisation: JSON) {{ template(id: $id) {{
    preview(personalisation: $personalisation) {{ {RENDERED} }}
}} }}"""
UNSAVED = f"query ($input: PreviewTemplateInput!) {{ previewTemplate(input: $input) {{ {RENDERED} }} }}"
CREATE = """mutation ($input: CreateTemplateInput!) { createTemplate(input: $input) {
    template { id version name channel letter { postage languages } redactPersonalisation }
    userErrors { __typename code path ... on MessageTooLongError { length limit unit } }
} }"""
UPDATE = """mutation ($input: UpdateTemplateInput!) { updateTemplate(input: $input) {
    template { version name body } changed placeholdersAdded placeholdersRemoved
    userErrors { __typename code path }
} }"""
ARCHIVE = """mutation ($input: ArchiveTemplateInput!) { archiveTemplate(input: $input) {
    template { version archived } userErrors { code path }
} }"""
REDACT = """mutation ($input: RedactTemplateInput!) { redactTemplate(input: $input) {
    template { version redactPersonalisation } userErrors { code path }
} }"""


@pytest.fixture
async def service(make: Builders) -> models.Service:
    return await make.service(name="Town", normalised_service_name="town")


@pytest.fixture
async def member(make: Builders, service: models.Service) -> Actor:
    return user_actor(await make.member(service), service)


async def test_a_text_message_template_has_every_field(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    author = await make.member(service)
    template = await make.template(
        service, name="Reminder", content="Ŵel ((First name)) ((late??Hurry!)) ((first_name))", created_by_id=author.id
    )
    saved_at = f"{template.created_at.isoformat()}Z"

    assert (await ask(ONE, by=member, id=str(template.id))).root_field == {
        "id": str(template.id),
        "archived": False,
        "redactPersonalisation": False,
        "createdAt": saved_at,
        "updatedAt": None,
        "createdBy": {"id": str(author.id)},
        "service": {"id": str(service.id)},
        "version": 1,
        "name": "Reminder",
        "channel": "SMS",
        "subject": None,
        "body": "Ŵel ((First name)) ((late??Hurry!)) ((first_name))",
        "savedAt": saved_at,
        "savedBy": {"id": str(author.id)},
        "placeholders": [
            {"name": "First name", "conditional": False, "conditionalText": None, "inSubject": False},
            {"name": "late", "conditional": True, "conditionalText": "Hurry!", "inSubject": False},
        ],
        "email": None,
        "sms": {"characterCount": 50, "fragmentCount": 1, "usesUnicode": True},
        "letter": None,
    }


async def test_an_email_and_a_letter_have_details_of_their_own(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    email = await make.template(service, Channel.EMAIL, has_unsubscribe_link=True)
    letter = await make.template(
        service,
        Channel.LETTER,
        postage="first",
        letter_languages="welsh_then_english",
        letter_welsh_subject="((Peth))",
        letter_welsh_content="Helo ((name))",
    )
    document = """query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Template {
        channel email { hasUnsubscribeLink } sms { fragmentCount } placeholders { name inSubject }
        letter { postage languages welshSubject welshBody }
    } } }"""

    assert (await ask(document, by=member, ids=[str(email.id), str(letter.id)])).root_field == [
        {
            "channel": "EMAIL",
            "email": {"hasUnsubscribeLink": True},
            "sms": None,
            "placeholders": [{"name": "thing", "inSubject": True}, {"name": "name", "inSubject": False}],
            "letter": None,
        },
        {
            "channel": "LETTER",
            "email": None,
            "sms": None,
            "placeholders": [
                {"name": "thing", "inSubject": True},
                {"name": "name", "inSubject": False},
                {"name": "Peth", "inSubject": True},
            ],
            "letter": {
                "postage": "FIRST",
                "languages": "WELSH_THEN_ENGLISH",
                "welshSubject": "((Peth))",
                "welshBody": "Helo ((name))",
            },
        },
    ]


async def test_every_version_can_be_read(ask: Ask, make: Builders, service: models.Service, member: Actor) -> None:
    template = await make.template(service, name="First")
    template_id = str(template.id)
    await ask(UPDATE, by=member, input={"templateId": template_id, "name": "Second"})
    await ask(ARCHIVE, by=member, input={"templateId": template_id})

    data = (await ask(HISTORY, by=member, id=template_id, version=2)).root_field

    assert data["versions"] == {
        "totalCount": 3,
        "nodes": [
            {"id": f"{template_id}:3", "version": 3, "name": "Second", "archived": True},
            {"id": f"{template_id}:2", "version": 2, "name": "Second", "archived": False},
            {"id": f"{template_id}:1", "version": 1, "name": "First", "archived": False},
        ],
    }
    second = data["atVersion"]
    assert (second["id"], second["name"], second["template"]) == (f"{template_id}:2", "Second", {"version": 3})
    assert second["savedBy"] == {"id": str(member.user_id)}
    assert second["savedAt"] > f"{template.created_at.isoformat()}Z"
    assert (await ask(HISTORY, by=member, id=template_id, version=4)).root_field["atVersion"] is None
    assert (await ask("query ($id: ID!) { node(id: $id) { id } }", by=member, id=f"{template_id}:1")).root_field is None


async def test_the_creator_of_a_template_does_not_change(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    author = await make.member(service)
    template = await make.template(service, created_by_id=author.id)
    await ask(UPDATE, by=member, input={"templateId": str(template.id), "name": "Newer"})

    data = (await ask(ONE, by=member, id=str(template.id))).root_field

    assert (data["createdBy"], data["savedBy"]) == ({"id": str(author.id)}, {"id": str(member.user_id)})


async def test_who_sees_a_template(ask: Ask, make: Builders, service: models.Service) -> None:
    template = await make.template(service)
    document = "query ($id: ID!) { template(id: $id) { name savedBy { id } } }"
    for by in (platform_admin(await make.user()), api_key_actor(await make.api_key(service))):
        assert (await ask(document, by=by, id=str(template.id))).root_field["name"] == template.name
    assert (await ask(document, by=stranger(), id=str(template.id))).root_field is None
    assert (await ask(document, by=stranger(), id="no uuid")).root_field is None
    assert (await ask(document, id=str(template.id))).error_codes == ["UNAUTHENTICATED"]
    assert (await ask(document, by=api_key_actor(await make.api_key(service)), id=str(template.id))).root_field[
        "savedBy"
    ] is None


async def test_a_preview_shows_what_a_handset_would(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service, content="Hello ((name)) 🎉 ((due))")

    preview = await ask(PREVIEW, by=member, id=str(template.id), personalisation={"NAME": "Zoë", "other": 1})

    assert preview.root_field["preview"] == {
        "channel": "SMS",
        "subject": None,
        "text": "Town: Hello Zoë ? ((due))",
        "html": None,
        "preheader": None,
        "missingPlaceholders": ["due"],
        "unusedPersonalisation": ["other"],
        "sms": {
            "characterCount": 19,
            "characterLimit": 918,
            "encoding": "UCS2",
            "fragmentCount": 1,
            "replacedCharacters": [{"original": "🎉", "replacement": "?"}],
        },
        "errors": [
            {
                "__typename": "MissingPersonalisationError",
                "code": "MISSING_PERSONALISATION",
                "path": ["personalisation"],
                "placeholders": ["due"],
            }
        ],
    }


@pytest.mark.parametrize("personalisation", [["a"], "a", {"a": {"b": 1}}, {"a": [[1]]}])
async def test_malformed_values_are_a_bad_request(
    ask: Ask, make: Builders, service: models.Service, member: Actor, personalisation: Any
) -> None:
    template = await make.template(service)

    assert (await ask(PREVIEW, by=member, id=str(template.id), personalisation=personalisation)).error_codes == [
        "BAD_REQUEST"
    ]


async def test_content_can_be_seen_before_it_is_saved(ask: Ask, service: models.Service, member: Actor) -> None:
    arguments = {
        "serviceId": str(service.id),
        "content": {"email": {"subject": "Your ((thing))", "body": "# Hello ((name))"}},
        "personalisation": {"thing": "permit"},
    }
    preview = (await ask(UNSAVED, by=member, input=arguments)).root_field

    assert (preview["channel"], preview["subject"], preview["sms"], preview["missingPlaceholders"]) == (
        "EMAIL",
        "Your permit",
        None,
        ["name"],
    )
    assert "<h2" in preview["html"]
    assert [error["path"] for error in preview["errors"]] == [["input", "personalisation"]]
    assert (await ask(UNSAVED, by=stranger(), input=arguments)).root_field is None


async def test_a_template_is_written_once(ask: Ask, service: models.Service, member: Actor) -> None:
    arguments = {
        "serviceId": str(service.id),
        "name": "Letter",
        "content": {"letter": {"subject": "Hi", "body": "Hello"}},
        "idempotencyKey": "once",
    }
    created = (await ask(CREATE, by=member, input=arguments)).root_field

    assert created == {
        "template": {
            "id": created["template"]["id"],
            "version": 1,
            "name": "Letter",
            "channel": "LETTER",
            "letter": {"postage": "SECOND", "languages": "ENGLISH"},
            "redactPersonalisation": False,
        },
        "userErrors": [],
    }
    assert (await ask(CREATE, by=member, input=arguments)).root_field == created
    reused = await ask(CREATE, by=member, input=arguments | {"name": "Other"})
    assert [(error["__typename"], error["code"], error["path"]) for error in reused.user_errors] == [
        ("IdempotencyError", "IDEMPOTENCY_KEY_REUSED", ["input", "idempotencyKey"])
    ]


async def test_errors_have_the_path_of_the_argument(ask: Ask, service: models.Service, member: Actor) -> None:
    async def refused(content: Any, name: str = "Letter") -> Any:
        arguments = {"serviceId": str(service.id), "name": name, "content": content}
        return (await ask(CREATE, by=member, input=arguments)).user_errors

    assert await refused({"sms": {"body": "a" * 919}}) == [
        {
            "__typename": "MessageTooLongError",
            "code": "MESSAGE_TOO_LONG",
            "path": ["input", "content", "sms", "body"],
            "length": 919,
            "limit": 918,
            "unit": "CHARACTERS",
        }
    ]
    both = {"letter": {"subject": "Hi", "body": "Hello", "languages": "WELSH_THEN_ENGLISH"}}
    assert [(error["code"], error["path"]) for error in await refused(both, name=" ")] == [
        ("REQUIRED", ["input", "name"]),
        ("REQUIRED", ["input", "content", "letter", "welshSubject"]),
        ("REQUIRED", ["input", "content", "letter", "welshBody"]),
    ]


async def test_content_of_two_channels_is_invalid(ask: Ask, service: models.Service, member: Actor) -> None:
    content = {"sms": {"body": "Hi"}, "email": {"subject": "Hi", "body": "Hi"}}
    arguments = {"serviceId": str(service.id), "name": "Both", "content": content}

    assert (await ask(CREATE, by=member, input=arguments)).error_codes == ["BAD_REQUEST"]


async def test_a_template_is_saved_at_the_version_that_was_read(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service, name="Reminder")
    template_id = str(template.id)
    arguments = {"templateId": template_id, "expectedVersion": 1, "content": {"sms": {"body": "Hi ((due))"}}}

    assert (await ask(UPDATE, by=member, input=arguments)).root_field == {
        "template": {"version": 2, "name": "Reminder", "body": "Hi ((due))"},
        "changed": True,
        "placeholdersAdded": ["due"],
        "placeholdersRemoved": ["name"],
        "userErrors": [],
    }
    same = (await ask(UPDATE, by=member, input={"templateId": template_id, "name": "Reminder"})).root_field
    assert (same["changed"], same["template"]["version"]) == (False, 2)
    conflict = await ask(UPDATE, by=member, input=arguments)
    assert conflict.root_field == {
        "template": None,
        "changed": False,
        "placeholdersAdded": [],
        "placeholdersRemoved": [],
        "userErrors": [
            {"__typename": "VersionConflictError", "code": "VERSION_CONFLICT", "path": ["input", "expectedVersion"]}
        ],
    }
    other = {"templateId": template_id, "content": {"email": {"body": "Hi"}}}
    assert (await ask(UPDATE, by=member, input=other)).user_errors == [
        {"__typename": "ValidationError", "code": "TEMPLATE_CHANNEL_MISMATCH", "path": ["input", "content", "email"]}
    ]


async def test_a_template_is_redacted_and_archived_once(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    arguments = {"templateId": str(template.id)}

    for _ in range(2):
        assert (await ask(REDACT, by=member, input=arguments)).root_field == {
            "template": {"version": 1, "redactPersonalisation": True},
            "userErrors": [],
        }
        template = await make.template(service)
    for _ in range(2):
        assert (await ask(ARCHIVE, by=member, input=arguments)).root_field == {
            "template": {"version": 2, "archived": True},
            "userErrors": [],
        }


async def test_a_stranger_cannot_find_out_that_the_service_exists(ask: Ask, service: models.Service) -> None:
    def arguments(service_id: str) -> dict[str, Any]:
        return {"serviceId": service_id, "name": "Mine", "content": {"sms": {"body": "Hi"}}}

    there = await ask(CREATE, by=stranger(), input=arguments(str(service.id)))
    nowhere = await ask(CREATE, by=stranger(), input=arguments("11111111-1111-4111-8111-111111111111"))

    assert there.user_errors == [{"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["input", "serviceId"]}]
    assert nowhere.user_errors == there.user_errors


async def test_what_templates_cost_does_not_depend_on_their_number(
    ask: Ask, make: Builders, service: models.Service, member: Actor, statements: Statements
) -> None:
    document = f"""query ($id: ID!) {{ service(id: $id) {{ templates {{ nodes {{
        {CONTENT} redactPersonalisation createdBy {{ name }} preview {{ text }}
        versions(first: 1) {{ nodes {{ {CONTENT} }} }}
    }} }} }} }}"""
    for _ in range(2):
        for _ in range(2):
            await make.template(service, created_by_id=(await make.member(service)).id)
        with statements(6):
            assert (await ask(document, by=member, id=str(service.id))).errors == []
