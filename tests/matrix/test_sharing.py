"""No state is shared between callers, and a removed permission is gone within a second."""

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
from tests.waiting import WAIT_TIMEOUT_SECONDS, until
from tests.worker.harnesses import WorkerHarness, harness, worker_url

__all__ = ["harness", "worker_url"]

OPERATION_COUNT = 10_000
UNPLANNED_EVERY = 10
"""One of so many operations is executed by graphql-core, the others by the planner."""
QUESTION = "query ($id: ID!) { service(id: $id) { id members(first: 1) { nodes { service { id } } } } }"
MAX_REVOCATION_SECONDS = 1.0
ROOT = Path(__file__).parents[2]
REQUEST_SCOPED_CLASSES = {"DataLoader", "Loaders", "Context"}
"""Classes that are created for each request, and never at import."""


class Team:
    """A service with a manager, and a member whose permission is removed, both signed in."""

    def __init__(self, rig: WorkerHarness) -> None:
        self.rig = rig
        self.make = Builders(rig.database, rig.signer)
        # Committed rows stay beside those of other tests.
        self.make._numbers = count(uuid4().int % 10**12)  # noqa: SLF001

    async def build(self) -> None:
        """Create the rows."""
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
        """The environment of a server for them."""
        settings = self.rig.settings
        return {
            "ENVIRONMENT": "production",
            "SHUTDOWN_NOTICE": "0",
            "DATABASE_URL": settings.libpq_url,
            "DATA_DIR": str(settings.data_dir),
            "SECRET_KEY": "test-secret-key",
            "DANGEROUS_SALT": "test-salt",
        }

    async def ask(self, http: httpx2.AsyncClient, url: str, user: models.User, query: str, **variables: Any) -> Any:
        """Send a query to a server as one of them."""
        body = {"query": query, "variables": variables}
        headers = {"authorization": f"Bearer {self.tokens[user.id]}"}
        return (await http.post(f"{url}/graphql", json=body, headers=headers)).json()


async def test_alternating_callers_never_see_each_others_rows(harness: WorkerHarness) -> None:
    teams = [Team(harness), Team(harness)]
    sides: list[tuple[Actor, str, str]] = []
    for team in teams:
        await team.build()
    for own_team, other in (teams, reversed(teams)):
        sides.append((user_actor(own_team.manager, own_team.service), str(own_team.service.id), str(other.service.id)))
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
    team = Team(harness)
    await team.build()
    return team


@pytest_asyncio.fixture
async def servers(team: Team, tmp_path: Path) -> AsyncIterator[list[str]]:
    """Two processes on one database."""
    async with (
        running_server(team.environment, tmp_path) as first,
        running_server(team.environment, tmp_path) as second,
    ):
        yield [first.url, second.url]


ACTIVITY = "query ($id: ID!) { service(id: $id) { notifications(first: 1) { totalCount } } }"
REVOKE_PERMISSIONS = (
    """mutation ($input: SetServiceMemberInput!) { setServiceMember(input: $input) { userErrors { code } } }"""
)


@pytest.mark.timeout(600)
async def test_every_process_applies_a_removed_permission_within_a_second(team: Team, servers: list[str]) -> None:
    service, viewer = str(team.service.id), team.viewer
    last_allowed, last_refused = dict.fromkeys(servers, 0.0), dict.fromkeys(servers, 0.0)
    ending = asyncio.Event()
    async with httpx2.AsyncClient(timeout=WAIT_TIMEOUT_SECONDS) as http:

        async def keep_asking(url: str) -> None:
            while not ending.is_set():
                asked = time.monotonic()
                answer = await team.ask(http, url, viewer, ACTIVITY, id=service)
                if not answer.get("errors"):
                    assert answer["data"]["service"]["notifications"] == {"totalCount": 0}
                    last_allowed[url] = asked
                else:
                    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
                    last_refused[url] = asked

        asking = [asyncio.create_task(keep_asking(url)) for url in servers]
        await until(lambda: all(last_allowed.values()))
        taken = {"serviceId": service, "userId": str(viewer.id), "permissions": []}
        done = await team.ask(http, servers[0], team.manager, REVOKE_PERMISSIONS, input=taken)
        since = time.monotonic()
        await until(lambda: min(last_refused.values()) > since + MAX_REVOCATION_SECONDS)
        ending.set()
        await asyncio.gather(*asking)

    assert done["data"] == {"setServiceMember": {"userErrors": []}}
    assert max(last_allowed.values()) - since <= MAX_REVOCATION_SECONDS


def _import_time_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Calls that run when a module is imported: all but those within functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            # Defaults and decorators are evaluated where the function is defined.
            outside = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            outside += [] if isinstance(node, ast.Lambda) else node.decorator_list
            for expression in outside:
                yield from (call for call in ast.walk(expression) if isinstance(call, ast.Call))
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _import_time_calls(node)


def _called_names(source: str) -> list[str]:
    return [
        str(getattr(call.func, "id", "") or getattr(call.func, "attr", ""))
        for call in _import_time_calls(ast.parse(source))
    ]


def test_no_loader_is_created_at_import() -> None:
    calls = {
        str(path.relative_to(ROOT)): names
        for folder in ("graphql_api", "schema", "loaders")
        for path in (ROOT / folder).rglob("*.py")
        if (names := REQUEST_SCOPED_CLASSES.intersection(_called_names(path.read_text())))
    }

    assert calls == {}


@pytest.mark.parametrize(
    "source",
    [
        "loader = DataLoader(f)",
        "class A:\n    loaders = core.Loaders(database, actor)",
        "def f(loader=DataLoader(g)): ...",
        "if True:\n    x = [Context(actor)]",
    ],
)
def test_a_loader_created_at_import_is_detected(source: str) -> None:
    assert REQUEST_SCOPED_CLASSES.intersection(_called_names(source)) != set()


def test_a_loader_created_in_a_function_is_allowed() -> None:
    assert _called_names("def f():\n    return DataLoader(g)") == []
