"""The engines of both binds: how they connect, and the settings of a session by the server that it reaches."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from asyncpg import InterfaceError, InternalClientError
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from graphql_api.database.pool_metrics import SERVER_ADDRESS_KEY
from graphql_api.database.sqlstates import READ_ONLY_SQLSTATE, sqlstate

if TYPE_CHECKING:
    from asyncpg import Connection
    from sqlalchemy.engine import ExceptionContext

    from graphql_api.settings import Settings

DEFAULT_BIND, BULK_BIND = "default", "bulk"

_SELECT_SERVER_FACTS = "SELECT pg_is_in_recovery() AS recovering, COALESCE(host(inet_server_addr()), '') AS address"
_CONFIGURE_SESSION = """
    SELECT set_config('statement_timeout', $1, false),
        set_config('max_parallel_workers_per_gather', COALESCE($2, current_setting('max_parallel_workers_per_gather')),
            false)
"""


def primary(settings: Settings) -> AsyncEngine:
    """The engine for writes and short reads."""
    engine = create_async_engine(
        settings.primary_url,
        pool_size=settings.database_pool_size,
        pool_recycle=settings.database_pool_recycle,
        connect_args=_connect_arguments(settings, settings.database_connect_timeout),
        **_common_options(settings),
    )
    _configure_connections(engine, settings)
    event.listen(engine.sync_engine, "handle_error", _disconnect_from_replica)
    return engine


def bulk(settings: Settings) -> AsyncEngine:
    """The engine for reads that may be slightly stale: to the replica, or to the primary where there is none."""
    arguments = _connect_arguments(settings, settings.database_connect_timeout_bulk)
    if not settings.database_through_pooler:
        arguments["server_settings"]["default_transaction_read_only"] = "on"
    engine = create_async_engine(
        settings.replica_url or settings.primary_url,
        pool_size=settings.database_pool_size_bulk,
        pool_recycle=settings.database_pool_recycle_bulk,
        connect_args=arguments,
        **_common_options(settings),
    )
    _configure_connections(engine, settings)
    return engine


def _common_options(settings: Settings) -> dict[str, Any]:
    return {
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_timeout,
        "pool_pre_ping": True,
        "hide_parameters": True,
    }


def _connect_arguments(settings: Settings, timeout: float) -> dict[str, Any]:
    """Arguments of asyncpg. A pooler takes no settings but these two: its role must have the others."""
    server_settings = {"application_name": "notify-graphql", "timezone": "UTC"}
    if settings.database_through_pooler:
        return {
            "timeout": timeout,
            "command_timeout": settings.database_statement_timeout_replica_ms / 1_000 + 1,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "server_settings": server_settings,
        }
    return {
        "timeout": timeout,
        "server_settings": {
            **server_settings,
            "lock_timeout": str(settings.database_lock_timeout_ms),
            "idle_in_transaction_session_timeout": "10000",
            "jit": "off",
        },
    }


def _configure_connections(engine: AsyncEngine, settings: Settings) -> None:
    async def configure(connection: Connection) -> str:
        """Set the timeout and parallelism of a new session; returns the server's address."""
        _enable_keepalive(connection, settings)
        facts = await connection.fetchrow(_SELECT_SERVER_FACTS)
        if not settings.database_through_pooler:
            timeout, workers = (
                (settings.database_statement_timeout_replica_ms, settings.database_max_parallel_workers_replica)
                if facts["recovering"]
                else (settings.database_statement_timeout_ms, settings.database_max_parallel_workers)
            )
            await connection.execute(_CONFIGURE_SESSION, str(timeout), None if workers is None else str(workers))
        address: str = facts["address"]
        return address

    def connected(driver: Any, record: Any) -> None:
        try:
            record.info[SERVER_ADDRESS_KEY] = driver.run_async(configure)
        except (InterfaceError, InternalClientError) as error:
            # asyncpg raises these for a connection that ends meanwhile, and SQLAlchemy does not translate them here.
            raise ConnectionError from error

    event.listen(engine.sync_engine, "connect", connected)


def _enable_keepalive(connection: Any, settings: Settings) -> None:
    """Detect a peer that has vanished: by TCP keepalives, and by a timeout of unacknowledged data."""
    transport_socket = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no setting for it
    if transport_socket is None or transport_socket.family == getattr(socket, "AF_UNIX", None):
        return
    transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", settings.database_keepalives_idle),
        ("TCP_KEEPINTVL", settings.database_keepalives_interval),
        ("TCP_KEEPCNT", settings.database_keepalives_count),
        ("TCP_USER_TIMEOUT", settings.database_tcp_user_timeout_ms),
    ):
        if hasattr(socket, name):  # they depend on the operating system
            transport_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _disconnect_from_replica(context: ExceptionContext) -> None:
    """After a failover the pool may hold connections to the former primary: drop them."""
    if sqlstate(context.original_exception) == READ_ONLY_SQLSTATE:
        context.is_disconnect = True
