"""Members: adding, changing and removing them, and the managers that must remain."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from graphql_api import models
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.database.database import Database
from graphql_api.domain import members
from graphql_api.enums import ServicePermission, UserErrorCode
from graphql_api.errors import Forbidden, IllegalState, Invalid, NotFound, Unauthenticated
from tests.builders import ALL_PERMISSIONS, Builders, api_key_actor, platform_admin, stranger, user_actor

VIEW = {ServicePermission.VIEW_ACTIVITY}
MANAGE = {ServicePermission.MANAGE_USERS, ServicePermission.MANAGE_SETTINGS}
NEEDS_TWO = "The service needs two people with a government email address who can change its settings."
NEEDS_ONE = "The service needs one person with a government email address who can change its settings."


class Team:
    """Changes and reads the members of one service."""

    def __init__(self, database: Database, service: models.Service) -> None:
        self.database, self.service = database, service

    async def add_or_update(self, actor: Actor, user: models.User | UUID, *permissions: ServicePermission) -> Any:
        """Add a member, or replace their permissions."""
        user_id = user if isinstance(user, UUID) else user.id
        async with self.database.transaction() as tx:
            return await members.add_or_update(
                tx, actor, service_id=self.service.id, user_id=user_id, permissions=list(permissions)
            )

    async def remove(self, actor: Actor, user: models.User | UUID) -> models.Service:
        """Remove a member."""
        user_id = user if isinstance(user, UUID) else user.id
        async with self.database.transaction() as tx:
            return await members.remove(tx, actor, service_id=self.service.id, user_id=user_id)

    async def permissions_by_user(self) -> dict[UUID, set[str]]:
        """Permissions by the user id of each member."""
        async with self.database.read_connection() as connection:
            member, permission_row = models.ServiceMembership, models.ServiceMemberPermission
            permissions_by_user: dict[UUID, set[str]] = {
                user_id: set()
                for user_id in await connection.scalars(
                    select(member.user_id).where(member.service_id == self.service.id)
                )
            }
            for user_id, permission in await connection.execute(
                select(permission_row.user_id, permission_row.permission).where(
                    permission_row.service_id == self.service.id
                )
            ):
                permissions_by_user[user_id].add(permission)
            return permissions_by_user


@pytest.fixture
async def team(database: Database, make: Builders) -> Team:
    """A service in trial."""
    return Team(database, await make.service(restricted=True))


@pytest.fixture
async def live_team(database: Database, make: Builders) -> Team:
    """A live service."""
    return Team(database, await make.service(restricted=False))


async def catch_invalid(awaitable: Any) -> tuple[UserErrorCode, tuple[str, ...], str]:
    """Code, path and message of the `Invalid` that is raised."""
    with pytest.raises(Invalid) as raised:
        await awaitable
    return raised.value.code, raised.value.path, raised.value.message


async def test_a_manager_adds_a_member_of_another_service_that_they_manage(team: Team, make: Builders) -> None:
    manager = await make.member(team.service)
    other = await make.service()
    colleague = await make.member(other)
    actor = user_actor(manager, team.service, other)

    membership = await team.add_or_update(
        actor, colleague, ServicePermission.SEND_TEXTS, ServicePermission.VIEW_ACTIVITY
    )

    assert (membership.user_id, membership.service_id) == (colleague.id, team.service.id)
    assert (await team.permissions_by_user())[colleague.id] == {"send_texts", "view_activity"}


async def test_adding_a_user_who_is_only_visible_is_forbidden(team: Team, make: Builders) -> None:
    victim = await make.member(team.service)
    viewer = await make.member(team.service, VIEW)
    own = await make.service()
    actor = Actor(
        ActorKind.PERSON,
        user_id=viewer.id,
        permissions={team.service.id: frozenset(VIEW), own.id: ALL_PERMISSIONS},
    )

    with pytest.raises(Forbidden) as raised:
        await Team(team.database, own).add_or_update(actor, victim, ServicePermission.VIEW_ACTIVITY)

    assert raised.value.extensions["requiredPermission"] == "MANAGE_USERS"
    assert "invited" in raised.value.message
    assert await Team(team.database, own).permissions_by_user() == {}


async def test_all_permissions_are_replaced(team: Team, make: Builders) -> None:
    manager = await make.member(team.service)
    colleague = await make.member(team.service, {ServicePermission.SEND_TEXTS, ServicePermission.VIEW_ACTIVITY})

    await team.add_or_update(
        user_actor(manager, team.service), colleague, ServicePermission.VIEW_ACTIVITY, ServicePermission.SEND_EMAILS
    )
    assert (await team.permissions_by_user())[colleague.id] == {"view_activity", "send_emails"}

    await team.add_or_update(user_actor(manager, team.service), colleague)
    assert (await team.permissions_by_user())[colleague.id] == set()


async def test_a_permission_given_twice_is_stored_once(team: Team, make: Builders) -> None:
    manager, colleague = await make.member(team.service), await make.member(team.service, ())

    await team.add_or_update(user_actor(manager, team.service), colleague, *VIEW, *VIEW)

    assert (await team.permissions_by_user())[colleague.id] == {"view_activity"}


async def test_other_memberships_of_a_user_do_not_change(team: Team, make: Builders, database: Database) -> None:
    manager, other = await make.member(team.service), await make.service()
    colleague = await make.member(team.service, user=await make.member(other))

    await team.add_or_update(user_actor(manager, team.service), colleague)
    await team.remove(user_actor(manager, team.service), colleague)

    assert {colleague.id: {permission.value for permission in ALL_PERMISSIONS}} == await Team(
        database, other
    ).permissions_by_user()


async def test_members_cannot_give_themselves_more_permissions(team: Team, make: Builders) -> None:
    manager = await make.member(team.service, MANAGE | VIEW)
    await make.member(team.service)
    actor = user_actor(manager, team.service, permissions=MANAGE | VIEW)

    with pytest.raises(Forbidden) as raised:
        await team.add_or_update(actor, manager, *MANAGE, ServicePermission.MANAGE_API_KEYS)

    assert raised.value.extensions["requiredPermission"] == "MANAGE_API_KEYS"
    assert (await team.permissions_by_user())[manager.id] == {permission.value for permission in MANAGE | VIEW}
    await team.add_or_update(actor, manager, ServicePermission.VIEW_ACTIVITY)
    assert (await team.permissions_by_user())[manager.id] == {"view_activity"}


async def test_a_platform_admin_joins_any_service(team: Team, make: Builders) -> None:
    admin = await make.user(platform_admin=True)

    await team.add_or_update(platform_admin(admin), admin, ServicePermission.SEND_TEXTS)

    assert await team.permissions_by_user() == {admin.id: {"send_texts"}}


async def test_managing_members_needs_its_permission(team: Team, make: Builders) -> None:
    member, colleague = await make.member(team.service), await make.member(team.service, VIEW)
    actor = user_actor(member, team.service, permissions=ALL_PERMISSIONS - {ServicePermission.MANAGE_USERS})

    for attempt in (
        team.add_or_update(actor, colleague),
        team.remove(actor, colleague),
        team.add_or_update(actor, member),
    ):
        with pytest.raises(Forbidden) as raised:
            await attempt
        assert raised.value.extensions["requiredPermission"] == "MANAGE_USERS"
    assert (await team.permissions_by_user())[colleague.id] == {"view_activity"}


async def test_api_keys_and_strangers_cannot_change_members(team: Team, make: Builders) -> None:
    colleague = await make.member(team.service)
    api_key = await make.api_key(team.service)

    for attempt in (
        team.add_or_update(api_key_actor(api_key), colleague),
        team.remove(api_key_actor(api_key), colleague),
    ):
        with pytest.raises(Forbidden):
            await attempt
    for attempt in (team.add_or_update(stranger(), colleague), team.remove(stranger(), colleague)):
        with pytest.raises(NotFound) as raised:
            await attempt
        assert (raised.value.missing_id, raised.value.path) == (str(team.service.id), ("service_id",))
    for attempt in (team.add_or_update(Actor.anonymous(), colleague), team.remove(Actor.anonymous(), colleague)):
        with pytest.raises(Unauthenticated):
            await attempt


async def test_a_user_whom_the_manager_does_not_see_is_not_found(team: Team, make: Builders) -> None:
    manager, unknown = await make.member(team.service), await make.user()

    for user_id in (unknown.id, uuid4()):
        with pytest.raises(NotFound) as raised:
            await team.add_or_update(user_actor(manager, team.service), user_id, *VIEW)
        assert (raised.value.missing_id, raised.value.path) == (str(user_id), ("user_id",))


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_only_active_users_become_members(team: Team, make: Builders, state: str) -> None:
    user = await make.user(state=state)

    with pytest.raises(IllegalState) as raised:
        await team.add_or_update(platform_admin(await make.user()), user, *VIEW)

    assert (raised.value.current_state, raised.value.allowed_states) == (state.upper(), ["ACTIVE"])
    assert await team.permissions_by_user() == {}


async def test_an_archived_service_keeps_its_members(team: Team, make: Builders, database: Database) -> None:
    member = await make.member(team.service)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE services SET active = false WHERE id = :id"), {"id": team.service.id})
    admin = platform_admin(await make.user())

    for attempt in (team.add_or_update(admin, member), team.remove(admin, member)):
        with pytest.raises(IllegalState) as raised:
            await attempt
        assert raised.value.code is UserErrorCode.SERVICE_ARCHIVED
        assert (raised.value.current_state, raised.value.allowed_states) == ("ARCHIVED", ["TRIAL", "LIVE"])


async def test_removing_a_member_deletes_permissions_and_folders(
    team: Team, make: Builders, database: Database
) -> None:
    manager, colleague = await make.member(team.service), await make.member(team.service)
    folder = models.TemplateFolder(service_id=team.service.id, name="Letters")
    await make.add(
        folder,
        models.FolderPermission(user_id=colleague.id, service_id=team.service.id, template_folder_id=folder.id),
    )

    service = await team.remove(user_actor(manager, team.service), colleague)

    assert service.id == team.service.id
    assert await team.permissions_by_user() == {manager.id: {permission.value for permission in ALL_PERMISSIONS}}
    async with database.read_connection() as connection:
        assert (await connection.execute(select(models.FolderPermission.user_id))).all() == []


async def test_members_can_remove_themselves(team: Team, make: Builders) -> None:
    manager, member = await make.member(team.service), await make.member(team.service, ())

    await team.remove(user_actor(member, team.service, permissions=()), member)

    assert list(await team.permissions_by_user()) == [manager.id]


async def test_a_user_who_is_not_a_member_cannot_be_removed(team: Team, make: Builders) -> None:
    manager, other = await make.member(team.service), await make.user()

    for user_id in (other.id, uuid4()):
        with pytest.raises(NotFound) as raised:
            await team.remove(user_actor(manager, team.service), user_id)
        assert (raised.value.missing_id, raised.value.path) == (str(user_id), ("user_id",))


async def test_one_active_member_must_remain(team: Team, make: Builders) -> None:
    last_member = await make.member(team.service, VIEW)
    await make.member(team.service, user=await make.user(state="inactive"))

    expected = (
        UserErrorCode.LAST_ADMINISTRATOR,
        ("user_id",),
        "A service needs at least one member: add another before this one leaves.",
    )
    assert await catch_invalid(team.remove(user_actor(last_member, team.service), last_member)) == expected
    assert len(await team.permissions_by_user()) == 2


async def test_in_trial_one_government_manager_must_remain(team: Team, make: Builders) -> None:
    first = await make.member(team.service, MANAGE)
    await make.member(team.service, VIEW)
    await make.member(team.service, MANAGE, await make.user(email_address="s@supplier.example.com"))
    await make.member(team.service, MANAGE, await make.user(state="inactive"))
    actor = user_actor(first, team.service, permissions=MANAGE)
    expected = (UserErrorCode.LAST_ADMINISTRATOR, ("user_id",), NEEDS_ONE)

    assert await catch_invalid(team.remove(actor, first)) == expected
    assert await catch_invalid(team.add_or_update(actor, first, ServicePermission.MANAGE_USERS)) == expected
    assert (await team.permissions_by_user())[first.id] == {"manage_users", "manage_settings"}

    second = await make.member(team.service, MANAGE)
    await team.add_or_update(actor, first, ServicePermission.MANAGE_USERS)
    assert await catch_invalid(team.remove(actor, second)) == expected


async def test_in_a_live_service_two_government_managers_must_remain(live_team: Team, make: Builders) -> None:
    first, second = await make.member(live_team.service, MANAGE), await make.member(live_team.service, MANAGE)
    actor = user_actor(first, live_team.service, permissions=MANAGE)

    assert await catch_invalid(live_team.remove(actor, second)) == (
        UserErrorCode.LAST_ADMINISTRATOR,
        ("user_id",),
        NEEDS_TWO,
    )

    await make.member(live_team.service, MANAGE)
    await live_team.remove(actor, second)
    assert second.id not in await live_team.permissions_by_user()


async def test_a_request_to_go_live_needs_two_as_well(database: Database, make: Builders) -> None:
    team = Team(database, await make.service(restricted=True, has_active_go_live_request=True))
    first, second = await make.member(team.service, MANAGE), await make.member(team.service, MANAGE)

    actor = user_actor(first, team.service, permissions=MANAGE)
    assert await catch_invalid(team.remove(actor, second)) == (
        UserErrorCode.LAST_ADMINISTRATOR,
        ("user_id",),
        NEEDS_TWO,
    )


async def test_domains_of_organisations_count_as_government(team: Team, make: Builders) -> None:
    organisation = await make.organisation()
    await make.add(models.OrganisationDomain(domain="museum.example", organisation_id=organisation.id))
    first = await make.member(team.service, MANAGE)
    await make.member(team.service, MANAGE, await make.user(email_address="ada@prints.museum.example"))

    await team.remove(user_actor(first, team.service, permissions=MANAGE), first)

    assert first.id not in await team.permissions_by_user()


async def test_members_who_are_not_needed_can_leave(live_team: Team, make: Builders) -> None:
    manager = await make.member(live_team.service, MANAGE)
    viewer = await make.member(live_team.service, VIEW)
    supplier = await make.member(live_team.service, MANAGE, await make.user(email_address="s@supplier.example.com"))
    actor = user_actor(manager, live_team.service, permissions=MANAGE)

    await live_team.remove(actor, viewer)
    await live_team.remove(actor, supplier)

    assert list(await live_team.permissions_by_user()) == [manager.id]


async def test_a_member_of_the_organisation_may_not_manage_its_services(database: Database, make: Builders) -> None:
    organisation = await make.organisation()
    team = Team(database, await make.service(organisation_id=organisation.id))
    member = await make.member(team.service)
    actor = Actor(ActorKind.PERSON, user_id=(await make.user()).id, organisation_ids=frozenset({organisation.id}))

    for attempt in (team.add_or_update(actor, member), team.remove(actor, member)):
        with pytest.raises(Forbidden):
            await attempt
