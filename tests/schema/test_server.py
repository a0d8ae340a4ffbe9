"""The status of the server, which is public."""

from __future__ import annotations

from typing import Any

from tests.builders import Builders
from tests.conftest import Ask, Statements

STATE = "{ serverStatus { ok gitCommit builtAt databaseRevision } }"
COUNTS = "{ serverStatus { ok liveServiceCount organisationCount again: organisationCount } }"


async def test_the_server_status_is_public(ask: Ask, statements: Statements) -> None:
    with statements(1):
        answer = (await ask(STATE)).root_field

    revision = answer.pop("databaseRevision")
    assert answer == {"ok": True, "gitCommit": None, "builtAt": None}
    assert (len(revision), revision.isdigit()) == (4, True)


async def test_live_services_that_count_and_active_organisations_are_counted(
    ask: Ask, make: Builders, statements: Statements
) -> None:
    await make.organisation(active=False)
    organisation = await make.organisation()
    await make.organisation()
    live: dict[str, Any] = {
        "restricted": False,
        "count_as_live": True,
        "active": True,
        "organisation_id": organisation.id,
    }
    for different in ({}, {"organisation_id": None}, {"restricted": True}, {"count_as_live": False}, {"active": False}):
        await make.service(**live | different)

    with statements(3):
        answer = (await ask(COUNTS)).root_field

    assert answer == {"ok": True, "liveServiceCount": 2, "organisationCount": 2, "again": 2}
