"""Users: registration, confirmation of the address, and permissions to change details."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from graphql_api import models
from graphql_api.auth import crypto, tokens
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import passwords, sessions, users
from graphql_api.enums import AuthType, ServicePermission
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, IllegalState, NotFound, Problems, Unauthenticated
from tests.builders import ALL_PERMISSIONS, Builders, api_key_actor, platform_admin, stranger, user_actor
from tests.platform_messages import queued_messages

ADA: dict[str, Any] = {
    "name": " Ada Lovelace ",
    "email_address": " Ada@Example.GOV.UK ",
    "phone_number": "07700 900123",
    "password": "analytical engine",
}


class UserService:
    """Registers and changes users as the schema does."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self.database, self.signer = database, signer

    async def register(self, **changed: Any) -> None:
        """Register Ada, with these changes; `...` omits an argument."""
        arguments = {name: value for name, value in (ADA | changed).items() if value is not ...}
        await users.register(self.database.transaction, signer=self.signer, **arguments)

    async def confirm(self, token: str) -> Any:
        """Confirm the address by a token."""
        return await users.confirm_email_address(self.database.transaction, token=token, signer=self.signer)

    async def update(self, actor: Actor, user: models.User | UUID | None = None, **changes: Any) -> models.User:
        """Change details of a user, by default the actor's own."""
        async with self.database.transaction() as tx:
            user_id = user.id if isinstance(user, models.User) else user
            return await users.update(tx, actor, user_id=user_id, changes=changes, signer=self.signer)

    async def find_user(self, email_address: str) -> Any:
        """The row of an address, with the password's hash."""
        async with self.database.read_connection() as connection:
            rows = await connection.execute(
                text("SELECT *, _password AS password FROM users WHERE email_address = :a"), {"a": email_address}
            )
            return rows.one_or_none()

    async def sent_messages(self) -> list[tuple[str, str | None]]:
        """Recipients and subjects of the queued messages."""
        return [(message.recipient, message.subject) for message in await queued_messages(self.database, self.signer)]

    async def last_token(self) -> str:
        """The token of the last link in the queue."""
        last = (await queued_messages(self.database, self.signer))[-1]
        return last.text.split("\n\n")[2]


@pytest.fixture
def user_service(database: Database, signer: Signer) -> UserService:
    """A service on the test's database."""
    return UserService(database, signer)


async def catch_problems(awaitable: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Codes and paths of the problems that are raised."""
    with pytest.raises(DomainError) as raised:
        await awaitable
    problems = raised.value.problems if isinstance(raised.value, Problems) else [raised.value]
    return [(problem.code.name, problem.path) for problem in problems]


# --- registering ----------------------------------------------------------------------------------------------------


async def test_registering_creates_a_pending_user_and_sends_a_link(user_service: UserService) -> None:
    await user_service.register()

    stored = await user_service.find_user("ada@example.gov.uk")
    assert (stored.name, stored.mobile_number, stored.state) == ("Ada Lovelace", "07700 900123", "pending")
    assert (stored.auth_type, stored.platform_admin, stored.failed_login_count) == ("sms_auth", False, 0)
    assert stored.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await crypto.verify_password("analytical engine", stored.password)
    assert await user_service.sent_messages() == [("ada@example.gov.uk", "Confirm your email address for Notify")]


async def test_the_link_leads_to_a_code_and_the_code_to_a_session(user_service: UserService) -> None:
    await user_service.register()

    user, challenge = await user_service.confirm(await user_service.last_token())

    assert (user.state, challenge.method, challenge.sent_to) == ("pending", AuthType.SMS, "*********123")
    code = (await queued_messages(user_service.database, user_service.signer))[-1].text[:5]
    await sessions.complete_sign_in(
        user_service.database.transaction,
        challenge_token=challenge.token,
        proof={"sms_code": code},
        signer=user_service.signer,
    )
    assert (await user_service.find_user("ada@example.gov.uk")).state == "active"


async def test_a_link_is_valid_for_an_hour(user_service: UserService, monkeypatch: pytest.MonkeyPatch) -> None:
    await user_service.register()
    token = await user_service.last_token()

    for broken in ("", "nonsense", token[:-1], tokens.sign(user_service.signer, "challenge", [uuid4().hex, "SMS"])):
        assert await catch_problems(user_service.confirm(broken)) == [("LINK_INVALID", ("token",))]
    later = time.time() + 3_602
    monkeypatch.setattr(time, "time", lambda: later)
    assert await catch_problems(user_service.confirm(token)) == [("LINK_EXPIRED", ("token",))]


async def test_a_link_confirms_one_address_of_one_registration(user_service: UserService) -> None:
    await user_service.register()
    first = await user_service.last_token()
    await user_service.register(name="Somebody else", password="another password")
    second = await user_service.last_token()

    assert await catch_problems(user_service.confirm(first)) == [("LINK_EXPIRED", ("token",))]
    user, _ = await user_service.confirm(second)
    assert user.name == "Somebody else"


async def test_a_link_does_not_sign_in_an_active_user(user_service: UserService) -> None:
    await user_service.register()
    token = await user_service.last_token()
    async with user_service.database.transaction() as tx:
        await tx.execute(text("UPDATE users SET state = 'active', email_access_validated_at = '2020-01-01'"))

    user, challenge = await user_service.confirm(token)

    assert (user.state, challenge) == ("active", None)
    assert user.email_access_validated_at > user.created_at


async def test_a_registered_address_gets_the_same_result_and_another_email(
    user_service: UserService, make: Builders
) -> None:
    known = await make.user(email_address="ada@example.gov.uk", name="The first Ada", password="!")

    await user_service.register()

    stored = await user_service.find_user("ada@example.gov.uk")
    assert (stored.id, stored.name, stored.password, stored.state) == (known.id, "The first Ada", "!", "active")
    assert await user_service.sent_messages() == [("ada@example.gov.uk", "You have a Notify account already")]


async def test_concurrent_registrations_create_one_user(user_service: UserService) -> None:
    await asyncio.gather(user_service.register(), user_service.register())

    async with user_service.database.read_connection() as connection:
        assert await connection.scalar(select(func.count()).select_from(models.User)) == 1


async def test_registering_for_sign_in_by_email_needs_no_phone(user_service: UserService) -> None:
    await user_service.register(auth_type=AuthType.EMAIL, phone_number=None)

    stored = await user_service.find_user("ada@example.gov.uk")
    assert (stored.auth_type, stored.mobile_number) == ("email_auth", None)


INVALID_REGISTRATIONS = {
    "no name": ({"name": " "}, [("REQUIRED", ("name",))]),
    "long name": ({"name": "n" * 256}, [("TOO_LONG", ("name",))]),
    "name with NUL": ({"name": "a\0"}, [("INVALID", ("name",))]),
    "no address": ({"email_address": ""}, [("REQUIRED", ("email_address",))]),
    "invalid address": ({"email_address": "ada@"}, [("EMAIL_INVALID", ("email_address",))]),
    "address with NUL": ({"email_address": "a\0@example.gov.uk"}, [("EMAIL_INVALID", ("email_address",))]),
    "no government address": ({"email_address": "ada@gmail.com"}, [("EMAIL_DOMAIN_NOT_ALLOWED", ("email_address",))]),
    "domain that ends like one": (
        {"email_address": "ada@notgov.uk"},
        [("EMAIL_DOMAIN_NOT_ALLOWED", ("email_address",))],
    ),
    "domain that begins like one": (
        {"email_address": "ada@gov.uk.com"},
        [("EMAIL_DOMAIN_NOT_ALLOWED", ("email_address",))],
    ),
    "no phone": ({"phone_number": None}, [("REQUIRED", ("phone_number",))]),
    "blank phone": ({"phone_number": " "}, [("REQUIRED", ("phone_number",))]),
    "phone with letters": ({"phone_number": "0770090012x"}, [("PHONE_UNKNOWN_CHARACTER", ("phone_number",))]),
    "short phone": ({"phone_number": "07700"}, [("PHONE_TOO_SHORT", ("phone_number",))]),
    "landline": ({"phone_number": "020 7946 0991"}, [("LANDLINE_NOT_ALLOWED", ("phone_number",))]),
    "security key": ({"auth_type": AuthType.WEBAUTHN}, [("INVALID", ("auth_type",))]),
    "seven characters": ({"password": "1234567"}, [("TOO_SHORT", ("password",))]),
    "long password": ({"password": "p" * 500 + "q" * 501}, [("TOO_LONG", ("password",))]),
    "lone surrogate": ({"password": "passwor\ud800"}, [("INVALID", ("password",))]),
    "common password": ({"password": "Password123"}, [("PASSWORD_TOO_COMMON", ("password",))]),
    "one repeated character": ({"password": "PpPpPpPpPpPp"}, [("PASSWORD_TOO_COMMON", ("password",))]),
    "everything": (
        {"name": "", "email_address": "", "phone_number": "x", "password": ""},
        [
            ("REQUIRED", ("name",)),
            ("REQUIRED", ("email_address",)),
            ("PHONE_UNKNOWN_CHARACTER", ("phone_number",)),
            ("TOO_SHORT", ("password",)),
        ],
    ),
}


@pytest.mark.parametrize(("changed", "expected"), INVALID_REGISTRATIONS.values(), ids=INVALID_REGISTRATIONS)
async def test_problems_are_reported_and_no_user_is_created(
    user_service: UserService, changed: Any, expected: Any
) -> None:
    assert await catch_problems(user_service.register(**changed)) == expected
    assert await user_service.find_user("ada@example.gov.uk") is None
    assert await user_service.sent_messages() == []


@pytest.mark.parametrize("domain", ["gov.uk", "a.b.gov.uk", "nhs.net", "trust.nhs.uk", "met.police.uk", "gov.scot"])
async def test_addresses_of_public_bodies_can_register(user_service: UserService, domain: str) -> None:
    await user_service.register(email_address=f"ada@{domain}")

    assert (await user_service.find_user(f"ada@{domain}")).state == "pending"


async def test_addresses_of_organisations_can_register(user_service: UserService, make: Builders) -> None:
    organisation = await make.organisation()
    await make.add(models.OrganisationDomain(domain="museum.example", organisation_id=organisation.id))

    await user_service.register(email_address="ada@prints.museum.example")

    assert (await user_service.find_user("ada@prints.museum.example")).state == "pending"
    expected = [("EMAIL_DOMAIN_NOT_ALLOWED", ("email_address",))]
    assert await catch_problems(user_service.register(email_address="ada@amuseum.example")) == expected
    assert await catch_problems(user_service.register(email_address="ada@example")) == [
        ("EMAIL_INVALID", ("email_address",))
    ]


def test_common_passwords_have_the_minimum_length() -> None:
    assert [
        word
        for word in passwords.COMMON_PASSWORDS
        if len(word) < passwords.MIN_PASSWORD_CHARACTERS or word != word.casefold()
    ] == []
    assert len(passwords.COMMON_PASSWORDS) > 500


# --- changing -------------------------------------------------------------------------------------------------------


async def test_users_change_their_own_details(user_service: UserService, make: Builders) -> None:
    user = await make.user()

    changed = await user_service.update(
        user_actor(user),
        name=" New Name ",
        phone_number="+44 7700 900 456",
        auth_type=AuthType.EMAIL,
        take_part_in_research=False,
        receives_new_features_email=False,
    )

    stored = await user_service.find_user(user.email_address)
    assert (stored.name, stored.mobile_number, stored.auth_type) == ("New Name", "+44 7700 900 456", "email_auth")
    assert (stored.take_part_in_research, stored.receives_new_features_email) == (False, False)
    assert changed.updated_at == stored.updated_at > stored.created_at
    assert await user_service.sent_messages() == []


async def test_absent_fields_do_not_change(user_service: UserService, make: Builders) -> None:
    user = await make.user(name="Ada", mobile_number="07700900123")

    await user_service.update(user_actor(user), user, take_part_in_research=False)
    await user_service.update(user_actor(user), user)

    stored = await user_service.find_user(user.email_address)
    assert (stored.name, stored.mobile_number, stored.take_part_in_research) == ("Ada", "07700900123", False)


INVALID_CHANGES = {
    "no name": ({"name": None}, [("REQUIRED", ("name",))]),
    "blank name": ({"name": " "}, [("REQUIRED", ("name",))]),
    "no method": ({"auth_type": None}, [("REQUIRED", ("auth_type",))]),
    "no flag": (
        {"take_part_in_research": None, "receives_new_features_email": None},
        [("REQUIRED", ("take_part_in_research",)), ("REQUIRED", ("receives_new_features_email",))],
    ),
    "security key": ({"auth_type": AuthType.WEBAUTHN}, [("INVALID", ("auth_type",))]),
    "no phone": ({"phone_number": None}, [("REQUIRED", ("phone_number",))]),
    "blank phone": ({"phone_number": " "}, [("REQUIRED", ("phone_number",))]),
    "wrong phone": ({"phone_number": "07700"}, [("PHONE_TOO_SHORT", ("phone_number",))]),
    "one's own address": ({"email_address": "new@example.gov.uk"}, [("INVALID", ("email_address",))]),
    "no address": ({"email_address": None}, [("REQUIRED", ("email_address",))]),
}


@pytest.mark.parametrize(("changes", "expected"), INVALID_CHANGES.values(), ids=INVALID_CHANGES)
async def test_a_wrong_change_changes_nothing(
    user_service: UserService, make: Builders, changes: Any, expected: Any
) -> None:
    user = await make.user(name="Ada", mobile_number="07700900123")

    assert await catch_problems(user_service.update(user_actor(user), **changes)) == expected
    stored = await user_service.find_user(user.email_address)
    assert (stored.name, stored.mobile_number, stored.auth_type, stored.updated_at) == (
        "Ada",
        "07700900123",
        "sms_auth",
        None,
    )


async def test_a_phone_number_can_be_cleared_together_with_its_method(
    user_service: UserService, make: Builders
) -> None:
    user = await make.user()

    await user_service.update(user_actor(user), phone_number=None, auth_type=AuthType.EMAIL)

    assert (await user_service.find_user(user.email_address)).mobile_number is None
    assert await catch_problems(user_service.update(user_actor(user), auth_type=AuthType.SMS)) == [
        ("REQUIRED", ("phone_number",))
    ]


async def test_the_unchanged_address_is_accepted(user_service: UserService, make: Builders) -> None:
    user = await make.user(email_address="ada@example.gov.uk")

    await user_service.update(user_actor(user), email_address="Ada@example.gov.uk", name="Ada King")

    assert (await user_service.find_user("ada@example.gov.uk")).name == "Ada King"


async def test_a_manager_changes_a_colleague_who_gets_an_email(user_service: UserService, make: Builders) -> None:
    service = await make.service()
    manager = await make.member(service, user=await make.user(name="Charles"))
    colleague = await make.member(service, (), await make.user(name="Ada", email_address="ada@example.gov.uk"))

    await user_service.update(
        user_actor(manager, service), colleague, email_address="Ada@New.gov.uk ", phone_number="07700900456"
    )

    assert (await user_service.find_user("ada@new.gov.uk")).mobile_number == "07700900456"
    (message,) = await queued_messages(user_service.database, user_service.signer)
    assert (message.recipient, message.subject) == ("ada@example.gov.uk", "Your Notify account was changed")
    assert "Charles changed these of your details in Notify: email address, phone number." in message.text


async def test_unchanged_details_send_no_email(user_service: UserService, make: Builders) -> None:
    service = await make.service()
    manager, colleague = await make.member(service), await make.member(service)

    await user_service.update(user_actor(manager, service), colleague, phone_number=colleague.mobile_number)
    await user_service.update(user_actor(manager, service), colleague, auth_type=AuthType.EMAIL)

    assert await user_service.sent_messages() == []


@pytest.mark.parametrize("changes", [{"name": "Eve"}, {"take_part_in_research": True}])
async def test_a_manager_changes_only_what_a_colleague_needs_to_sign_in(
    user_service: UserService, make: Builders, changes: Any
) -> None:
    service = await make.service()
    manager, colleague = await make.member(service), await make.member(service)

    with pytest.raises(Forbidden) as raised:
        await user_service.update(user_actor(manager, service), colleague, **changes)

    assert raised.value.extensions == {"code": "FORBIDDEN", "requiredPermission": "PLATFORM_ADMIN"}


async def test_managing_needs_the_permission_in_a_shared_service(user_service: UserService, make: Builders) -> None:
    service, other = await make.service(), await make.service()
    member, colleague = await make.member(service), await make.member(service)
    others = {other.id: ALL_PERMISSIONS, service.id: ALL_PERMISSIONS - {ServicePermission.MANAGE_USERS}}
    actor = Actor(user_actor(member).kind, user_id=member.id, permissions=others)

    with pytest.raises(Forbidden) as raised:
        await user_service.update(actor, colleague, phone_number="07700900456")

    assert raised.value.extensions["requiredPermission"] == "MANAGE_USERS"
    assert (await user_service.find_user(colleague.email_address)).mobile_number == colleague.mobile_number


async def test_a_user_is_not_found_for_a_stranger(user_service: UserService, make: Builders) -> None:
    user = await make.user()
    actor = user_actor(await make.user())

    for user_id in (user.id, uuid4()):
        with pytest.raises(NotFound) as raised:
            await user_service.update(actor, user_id, name="Eve")
        assert (raised.value.missing_id, raised.value.path) == (str(user_id), ("user_id",))


async def test_only_platform_admins_change_a_platform_admin(user_service: UserService, make: Builders) -> None:
    service = await make.service()
    manager = await make.member(service)
    admin = await make.member(service, user=await make.user(platform_admin=True))

    with pytest.raises(Forbidden):
        await user_service.update(user_actor(manager, service), admin, email_address="eve@example.gov.uk")

    await user_service.update(platform_admin(await make.user()), admin, name="Renamed")
    assert (await user_service.find_user(admin.email_address)).name == "Renamed"


async def test_a_taken_address_is_refused_and_shows_its_user_to_platform_admins_only(
    user_service: UserService, make: Builders
) -> None:
    service = await make.service()
    manager, colleague = await make.member(service), await make.member(service)
    holder = await make.user()

    for actor, existing in ((user_actor(manager, service), None), (platform_admin(await make.user()), holder.id)):
        with pytest.raises(AlreadyExists) as raised:
            await user_service.update(actor, colleague, email_address=holder.email_address.upper())
        assert raised.value.path == ("email_address",)
        assert getattr(raised.value.existing, "id", None) == existing


async def test_a_government_address_stays_one(user_service: UserService, make: Builders) -> None:
    service = await make.service()
    manager = await make.member(service)
    official = await make.member(service)
    supplier = await make.member(service, user=await make.user(email_address="s@supplier.example.com"))

    expected = [("EMAIL_DOMAIN_NOT_ALLOWED", ("email_address",))]
    assert (
        await catch_problems(user_service.update(user_actor(manager, service), official, email_address="o@gmail.com"))
        == expected
    )
    assert await catch_problems(user_service.update(user_actor(manager, service), official, email_address="o@")) == [
        ("EMAIL_INVALID", ("email_address",))
    ]
    await user_service.update(user_actor(manager, service), supplier, email_address="s@supplier.example.org")


async def test_an_archived_user_cannot_be_changed(user_service: UserService, make: Builders) -> None:
    user = await make.user(state="inactive")

    with pytest.raises(IllegalState) as raised:
        await user_service.update(platform_admin(await make.user()), user, name="Back")

    assert (raised.value.current_state, raised.value.allowed_states) == ("INACTIVE", ["PENDING", "ACTIVE"])


async def test_only_people_change_users(user_service: UserService, make: Builders) -> None:
    service = await make.service()
    colleague = await make.member(service)

    with pytest.raises(Forbidden):
        await user_service.update(api_key_actor(await make.api_key(service)), colleague, name="Eve")
    with pytest.raises(Unauthenticated):
        await user_service.update(Actor.anonymous(), colleague, name="Eve")
    with pytest.raises(NotFound):
        await user_service.update(stranger(), colleague, name="Eve")
