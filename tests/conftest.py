"""What every test can ask for: a migrated PostgreSQL, a transaction that is rolled back, and somebody who asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database, translated_errors
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings, asyncpg_url
from tests import planner_comparison, servers
from tests.builders import Builders, user_actor
from tests.models.databases import cloned
from tests.servers import (
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_configure_node,
    pytest_unconfigure,
    pytest_xdist_auto_num_workers,
)

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_unconfigure",
    "pytest_xdist_auto_num_workers",
]

SAVEPOINT_STATEMENTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK")
"""What a test's own transaction adds to the statements of the code under test."""


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """A server for tests, by the URL of an administrator: DATABASE_URL's, or one of our own that forgets.

    All processes of a run share it, each with databases of its own.
    """
    return servers.url(request.config)


@pytest_asyncio.fixture(scope="session")
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database, empty but for the lookup rows; dropped at the end."""
    async with cloned(postgres_url) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections to the migrated database."""
    engine = create_async_engine(
        asyncpg_url(database_url), connect_args={"server_settings": {"timezone": "UTC", "jit": "off"}}
    )
    yield engine
    await engine.dispose()


class SingleConnectionDatabase(Database):
    """A database both of whose doors open on one connection, in a transaction that the test rolls back."""

    def __init__(self, connection: AsyncConnection) -> None:
        super().__init__(connection.engine)
        self._connection = connection
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """The connection, one reader at a time."""
        async with self._lock:
            with translated_errors():
                async with self._connection.begin_nested():
                    yield self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session within the test's transaction: a savepoint that is released at the end, or rolled back."""
        async with self._lock:
            with translated_errors():
                session = AsyncSession(
                    self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
                )
                async with session, session.begin():
                    yield session

    async def close(self) -> None:
        """Nothing: an engine that is closed while its connection is out keeps that for good, once it comes back."""


@pytest_asyncio.fixture
async def database(engine: AsyncEngine) -> AsyncIterator[SingleConnectionDatabase]:
    """The database of one test; whatever the test does to it is undone."""
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield SingleConnectionDatabase(connection)
        await transaction.rollback()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings as tests want them; the keys are those of no real system."""
    return Settings.model_validate(
        {
            "environment": "test",
            "points_per_minute": 0,
            "data_dir": tmp_path,
            "secret_key": ["test-secret-key", "older-secret-key"],
            "dangerous_salt": "test-salt",
            "internal_client_api_keys": {"notify-admin": ["test-admin-secret"]},
        }
    )


@pytest.fixture
def signer(settings: Settings) -> Signer:
    """The signer of those settings."""
    return Signer(tuple(settings.secret_keys), settings.salt)


@pytest.fixture
def store(settings: Settings) -> Store:
    """An object store in the test's own folder."""
    return Store.connect(settings)


@pytest_asyncio.fixture
async def make(database: SingleConnectionDatabase, signer: Signer) -> Builders:
    """Rows for a test, whatever it does not say about them invented."""
    return Builders(database, signer)


@pytest_asyncio.fixture
async def service(make: Builders) -> models.Service:
    """A service."""
    return await make.service()


@pytest_asyncio.fixture
async def template(make: Builders, service: models.Service) -> models.Template:
    """A template of that service."""
    return await make.template(service)


@pytest_asyncio.fixture
async def actor(make: Builders, service: models.Service) -> Actor:
    """A member of that service who may do everything in it."""
    return user_actor(await make.member(service), service)


@dataclass
class GraphQLResponse:
    """What came back: data and errors as a client sees them."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]

    @property
    def root_field(self) -> Any:
        """The one root field of the document; the errors must be none."""
        assert self.errors == []
        assert self.data is not None
        (value,) = self.data.values()
        return value

    @property
    def user_errors(self) -> list[dict[str, Any]]:
        """The `userErrors` of the one mutation of the document."""
        errors: list[dict[str, Any]] = self.root_field["userErrors"]
        return errors

    @property
    def error_codes(self) -> list[str]:
        """Codes of the top-level errors."""
        return [error["extensions"]["code"] for error in self.errors]


class Ask(Protocol):
    """Ask as somebody: `await ask(DOCUMENT, by=actor, name=value)`; keywords are the document's variables."""

    async def __call__(self, document: str, /, *, by: Actor | None = None, **variables: Any) -> GraphQLResponse:
        """Answer as the server would, without HTTP."""
        ...


@pytest.fixture
def ask(database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store) -> Ask:
    """Ask the schema, as the server does for one operation."""
    from schema import schema  # noqa: PLC0415 - tests of the layers below need no schema

    async def asked(document: str, /, *, by: Actor | None = None, **variables: Any) -> GraphQLResponse:
        context = Context(by or Actor.anonymous(), database, settings, signer, store)
        result = await schema.execute(document, variable_values=variables, context_value=context)
        again = Context(context.actor, database, settings, signer, store)
        await planner_comparison.compare_with_planner(schema, document, variables, again, result)
        return GraphQLResponse(result.data, [dict(error.formatted) for error in result.errors or []])

    return asked


Statements = Callable[[int], AbstractContextManager[list[str]]]


@pytest.fixture
def statements(engine: AsyncEngine) -> Statements:
    """Assert how many statements a block sends: `with statements(3): ...`; answers their texts."""

    @contextmanager
    def counted(expected: int) -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if not statement.startswith(SAVEPOINT_STATEMENTS) and not planner_comparison.COMPARING.get():
                sent.append(statement)

        event.listen(engine.sync_engine, "before_cursor_execute", note)
        try:
            yield sent
        finally:
            event.remove(engine.sync_engine, "before_cursor_execute", note)
        assert len(sent) == expected, "\n\n".join(sent)

    return counted
