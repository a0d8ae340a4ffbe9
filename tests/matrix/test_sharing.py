"""Nothing that was read for one caller is told to another, and what was taken from somebody is gone within a second."""

from __future__ import annotations

import ast
import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest
import pytest_asyncio

from graphql_api import models
from graphql_api.auth import tokens
from graphql_api.auth.actors import Actor
from graphql_api.context import Context
from graphql_api.http.requests import Operation
from graphql_api.planner import Planner
from schema import schema
from tests.builders import Builders, user_actor
from tests.cluster.servers import running_server
from tests.waiting import PATIENCE, until
from tests.worker.harnesses import WorkerHarness, harness, worker_url

__all__ = ["harness", "worker_url"]

OPERATION_COUNT = 10_000
UNPLANNED_EVERY = 10
"""One operation of so many goes to graphql-core, the others are planned."""
QUESTION = "query ($id: ID!) { service(id: $id) { id members(first: 1) { nodes { service { id } } } } }"
MAX_REVOCATION_SECONDS = 1.0
ROOT = Path(__file__).parents[2]
REQUEST_SCOPED_CLASSES = {"DataLoader", "Loaders", "Context"}
"""What is made for each request, and never once for all."""


class Team:
    """A service with a manager and somebody whose permission is taken away, both signed in."""

    def __init__(self, rig: WorkerHarness) -> None:
        self.rig = rig
        self.make = Builders(rig.database, rig.signer)
        # What is committed stays, beside what other tests commit.
        self.make._numbers = count(uuid4().int % 10**12)  # noqa: SLF001

    async def build(self) -> None:
        """Make them."""
        self.service = await self.make.service()
        self.manager, self.viewer, _, _ = [await self.make.member(self.service) for _ in range(4)]
        self.tokens = {user.id: await self._signed_in(user) for user in (self.manager, self.viewer)}

    async def _signed_in(self, user: models.User) -> str:
        session = models.Session(user_id=user.id, expires_at=models.utcnow() + timedelta(hours=1))
        await self.make.add(session)
        async with self.rig.database.transaction() as tx:
            (await tx.get_one(models.User, user.id)).current_session_id = session.id
        return tokens.create_session_token(self.rig.signer, user.id, session.id)

    @property
    def environment(self) -> dict[str, str]:
        """What a server of theirs is started with."""
        settings = self.rig.settings
        return {
            "ENVIRONMENT": "production",
            "SHUTDOWN_NOTICE": "0",
            "DATABASE_URL": settings.libpq_url,
            "DATA_DIR": str(settings.data_dir),
            "SECRET_KEY": "test-secret-key",
            "DANGEROUS_SALT": "test-salt",
        }

    async def ask(self, http: httpx2.AsyncClient, url: str, user: models.User, query: str, **given: Any) -> Any:
        """Ask a server as one of them."""
        body = {"query": query, "variables": given}
        headers = {"authorization": f"Bearer {self.tokens[user.id]}"}
        return (await http.post(f"{url}/graphql", json=body, headers=headers)).json()


async def test_two_who_take_turns_are_never_told_what_is_the_others(harness: WorkerHarness) -> None:
    teams = [Team(harness), Team(harness)]
    sides: list[tuple[Actor, str, str]] = []
    for one in teams:
        await one.build()
    for one, other in (teams, reversed(teams)):
        sides.append((user_actor(one.manager, one.service), str(one.service.id), str(other.service.id)))
    planner = Planner.of(schema, harness.database, harness.settings)
    order = sides * (OPERATION_COUNT // 2)
    random.Random(7).shuffle(order)  # noqa: S311 - the same each time
    turns = iter(enumerate(order))
    foreign: list[tuple[str, str]] = []

    async def take_turns() -> None:
        for number, (actor, mine, other) in turns:
            asked = other if number % 3 == 0 else mine
            context = Context(actor, harness.database, harness.settings, harness.signer, harness.store)
            told = await _answer(planner, context, asked, planned=number % UNPLANNED_EVERY)
            own = None if asked is other else {"id": mine, "members": {"nodes": [{"service": {"id": mine}}]}}
            if orjson.loads(told)["data"] != {"service": own} or other in told:
                foreign.append((mine, told))

    await asyncio.gather(*(take_turns() for _ in range(8)))
    await planner.close()

    assert foreign == []


async def _answer(planner: Planner, context: Context, service: str, *, planned: int) -> str:
    if planned:
        answer = await planner(Operation(QUESTION, None, {"id": service}), context)
        assert answer is not None
        return answer.decode()
    result = await schema.execute(QUESTION, {"id": service}, context_value=context)
    assert result.errors is None
    return orjson.dumps({"data": result.data}).decode()


@pytest_asyncio.fixture
async def team(harness: WorkerHarness) -> Team:
    """The team."""
    made = Team(harness)
    await made.build()
    return made


@pytest_asyncio.fixture
async def servers(team: Team, tmp_path: Path) -> AsyncIterator[list[str]]:
    """Two processes on one database."""
    async with (
        running_server(team.environment, tmp_path) as one,
        running_server(team.environment, tmp_path) as other,
    ):
        yield [one.url, other.url]


ACTIVITY = "query ($id: ID!) { service(id: $id) { notifications(first: 1) { totalCount } } }"
REVOKE_PERMISSIONS = (
    """mutation ($input: SetServiceMemberInput!) { setServiceMember(input: $input) { userErrors { code } } }"""
)


@pytest.mark.timeout(600)
async def test_every_process_knows_within_a_second_that_a_permission_was_taken_away(
    team: Team, servers: list[str]
) -> None:
    service, viewer = str(team.service.id), team.viewer
    last_told, last_refused = dict.fromkeys(servers, 0.0), dict.fromkeys(servers, 0.0)
    ending = asyncio.Event()
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:

        async def keep_asking(url: str) -> None:
            while not ending.is_set():
                asked = time.monotonic()
                answer = await team.ask(http, url, viewer, ACTIVITY, id=service)
                if not answer.get("errors"):
                    assert answer["data"]["service"]["notifications"] == {"totalCount": 0}
                    last_told[url] = asked
                else:
                    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
                    last_refused[url] = asked

        asking = [asyncio.create_task(keep_asking(url)) for url in servers]
        await until(lambda: all(last_told.values()))
        taken = {"serviceId": service, "userId": str(viewer.id), "permissions": []}
        done = await team.ask(http, servers[0], team.manager, REVOKE_PERMISSIONS, input=taken)
        since = time.monotonic()
        await until(lambda: min(last_refused.values()) > since + MAX_REVOCATION_SECONDS)
        ending.set()
        await asyncio.gather(*asking)

    assert done["data"] == {"setServiceMember": {"userErrors": []}}
    assert max(last_told.values()) - since <= MAX_REVOCATION_SECONDS


def _import_time_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that run when a module is imported: all but those within functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            # Defaults and decorators are evaluated where the function is defined.
            outside = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            outside += [] if isinstance(node, ast.Lambda) else node.decorator_list
            for one in outside:
                yield from (call for call in ast.walk(one) if isinstance(call, ast.Call))
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _import_time_calls(node)


def _called_names(source: str) -> list[str]:
    return [
        str(getattr(call.func, "id", "") or getattr(call.func, "attr", ""))
        for call in _import_time_calls(ast.parse(source))
    ]


def test_no_loader_is_made_when_a_module_is_imported() -> None:
    made = {
        str(path.relative_to(ROOT)): found
        for folder in ("graphql_api", "schema", "loaders")
        for path in (ROOT / folder).rglob("*.py")
        if (found := REQUEST_SCOPED_CLASSES.intersection(_called_names(path.read_text())))
    }

    assert made == {}


@pytest.mark.parametrize(
    "source",
    [
        "loader = DataLoader(f)",
        "class A:\n    loaders = core.Loaders(database, actor)",
        "def f(loader=DataLoader(g)): ...",
        "if True:\n    x = [Context(actor)]",
    ],
)
def test_a_loader_that_is_made_at_import_would_be_found(source: str) -> None:
    assert REQUEST_SCOPED_CLASSES.intersection(_called_names(source)) != set()


def test_a_loader_that_is_made_in_a_function_is_none_of_them() -> None:
    assert _called_names("def f():\n    return DataLoader(g)") == []
