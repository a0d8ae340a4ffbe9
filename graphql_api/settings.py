"""Settings, read once from environment variables; every default is safe in production."""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from graphql_api.errors import CommandError

PRIVATE_NETWORKS = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1", "fc00::/7"]
KeyRing = Annotated[list[SecretStr], NoDecode]


DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 100
"""Rows of a page when `first` and `last` are left out, and at most."""


class Settings(BaseSettings):
    """Every setting, named as its environment variable. Sizes are in bytes, times in seconds unless named `_ms`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["production", "development", "test"] = "production"
    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path(".data")

    database_url: SecretStr | None = None
    database_url_bulk: SecretStr | None = None
    """The replica for reads that may be slightly stale: one or several hosts, of which a standby is preferred."""
    database_url_listen: SecretStr | None = None
    """For LISTEN: DATABASE_URL without its pooler, which does not pass notifications on."""
    database_pool_size: int = 8
    database_pool_size_bulk: int = 8
    database_pool_timeout: float = 2
    database_pool_recycle: int = 300
    database_pool_recycle_bulk: int = Field(default=50, lt=60)
    """Under a minute, so that the pool soon returns to a replica that was unavailable."""
    database_connect_timeout: float = 2
    database_connect_timeout_bulk: float = 1
    database_patience: float = 3
    """For how long connecting to an unavailable database is retried before the request fails."""
    database_tcp_user_timeout_ms: int = 5_000
    database_keepalives_idle: int = 10
    database_keepalives_interval: int = 5
    database_keepalives_count: int = 3
    database_statement_timeout_ms: int = 4_000
    database_statement_timeout_replica_ms: int = 8_000
    database_max_parallel_workers: int | None = None
    database_max_parallel_workers_replica: int | None = None
    """Parallel workers of one statement, on the primary and on a replica; PostgreSQL's own default if unset."""
    database_lock_timeout_ms: int = 1_000
    database_bulk_max_lag: float = 10
    """A replica that lags more is not read."""
    database_through_pooler: bool = False
    """The database is behind PgBouncer in transaction mode: connections keep no state."""

    secret_key: KeyRing = Field(default_factory=list)
    dangerous_salt: SecretStr = SecretStr("")
    internal_client_api_keys: dict[str, list[SecretStr]] = Field(default_factory=dict)

    notify_compatible: bool | None = None
    """Write rows in Notify's format, for its own programs; by default where Notify's migrations made the database."""

    points_per_minute: int | None = Field(default=None, ge=0)
    """Points that a caller's operations may cost a minute, 3,000 by default; 0 for no limit."""
    redis_url: SecretStr | None = None
    """Shares those points between processes; without it each process counts its own."""

    max_body_bytes: int = 1_000_000
    max_upload_bytes: int = 10_000_000
    request_timeout: float = 10
    shutdown_notice: float | None = None
    """Seconds between SIGTERM and the end of accepting, in which `/_status` is 503; 5 in production, else 0."""
    live_connections: int = 2_000
    """WebSockets and event streams that a process may have open."""
    live_connections_per_caller: int = 100
    """Those of one user or API key."""
    connections_per_address: int = 200
    """Connections of one address to one process; those of `proxies` are not counted."""
    proxies: list[IPvAnyNetwork] = Field(default_factory=lambda: [ip_network(network) for network in PRIVATE_NETWORKS])
    """Networks of load balancers, whose X-Forwarded-For is trusted; by default loopback and private networks."""
    cors_origins: list[str] = Field(default_factory=list)
    introspection: Literal["everyone", "signed-in", "nobody"] = "signed-in"

    persisted_documents: Path | None = None
    """A manifest of documents by id, or a folder of manifests; read once."""
    free_documents: bool | None = None
    """Accept other documents too; by default only without a manifest."""
    automatic_documents: bool = False
    """Automatic persisted queries: register a document by its hash when a client sends both."""

    metrics_token: SecretStr | None = None
    """The bearer token for `/metrics`, which is not served without one."""

    object_store_url: str | None = None
    sms_gateway: Literal["fake"] | None = None
    email_gateway: Literal["fake", "smtp"] | None = None
    letter_gateway: Literal["fake"] | None = None
    """Each is required in production, because a fake gateway only pretends to deliver; else fake by default."""
    fake_gateway_receipt_after: float = 0.2
    fake_gateway_log: Path | None = None
    """A file to which the fake gateway adds a line per message."""
    smtp_url: SecretStr | None = None
    email_domain: str = "notify.example"

    worker_tasks: int = 64
    """Tasks that a worker runs at once."""
    worker_lease: float = 5
    """Seconds after which other workers take over the jobs and messages of a worker that has died."""
    delivery_retries: int = 48
    delivery_retry_after: float = 300

    git_commit: str | None = None
    built_at: datetime | None = None

    @field_validator("secret_key", mode="before")
    @classmethod
    def _parse_secret_key(cls, value: Any) -> Any:
        """Parse a JSON list of keys, or take one key as it is; the first signs, all verify."""
        if isinstance(value, str):
            if value.startswith("["):
                import json  # noqa: PLC0415 - only where the list form is used

                return json.loads(value)
            return [value] if value else []
        return value

    def is_proxy(self, address: str) -> bool:
        """Whether an address is in one of `proxies`."""
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(ip in network for network in self.proxies)

    @property
    def is_development(self) -> bool:
        """A developer's machine: the explorer is served and introspection is open."""
        return self.environment == "development"

    def allows_introspection(self, *, signed_in: bool) -> bool:
        """Whether a caller may read the schema: in any introspection query, and in suggestions of errors."""
        return (
            self.is_development or self.introspection == "everyone" or (self.introspection == "signed-in" and signed_in)
        )

    @property
    def shutdown_notice_seconds(self) -> float:
        """Seconds between SIGTERM and the end of accepting."""
        if self.shutdown_notice is not None:
            return self.shutdown_notice
        return 5 if self.environment == "production" else 0

    @property
    def effective_points_per_minute(self) -> int:
        """Points a minute; in development a limit that only a loop reaches."""
        if self.points_per_minute is not None:
            return self.points_per_minute
        return 600_000 if self.is_development else 3_000

    @cached_property
    def primary_url(self) -> URL:
        """The primary; raises ValueError without DATABASE_URL."""
        if self.database_url is None:
            raise ValueError("Set DATABASE_URL, or use `./run dev`, which starts a PostgreSQL of its own.")
        return asyncpg_url(self.database_url.get_secret_value())

    @property
    def libpq_url(self) -> str:
        """DATABASE_URL in libpq's format, as asyncpg and PostgreSQL's own programs read it, with its password."""
        return _libpq_url(self.primary_url)

    @property
    def listen_url(self) -> str | None:
        """The URL for LISTEN, in libpq's format; None behind a pooler."""
        if self.database_url_listen is not None:
            return _libpq_url(asyncpg_url(self.database_url_listen.get_secret_value()))
        return None if self.database_through_pooler or self.database_url is None else self.libpq_url

    @cached_property
    def replica_url(self) -> URL | None:
        """The replica; None to read from the primary."""
        if self.database_url_bulk is None:
            return None
        return asyncpg_url(self.database_url_bulk.get_secret_value(), target_session_attrs="prefer-standby")

    @cached_property
    def secret_keys(self) -> list[bytes]:
        """Keys of Notify's signatures; the first signs, all verify."""
        if not self.secret_key:
            raise ValueError("Set SECRET_KEY: a long random value, or a JSON list of them of which the first signs.")
        return [key.get_secret_value().encode() for key in self.secret_key]

    @cached_property
    def salt(self) -> bytes:
        """Salt of Notify's signatures."""
        if not self.dangerous_salt.get_secret_value():
            raise ValueError("Set DANGEROUS_SALT: a random value that never changes.")
        return self.dangerous_salt.get_secret_value().encode()


MULTI_HOST_URL = re.compile(
    r"(?P<start>\w[\w+]*://(?:[^@/?]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<path>/[^?]*)?(?:\?(?P<query>.*))?"
)
"""A URL in libpq's format, with several hosts separated by commas."""


def asyncpg_url(url: str, *, target_session_attrs: str = "read-write") -> URL:
    """Convert a `postgresql://` URL, of one host or of several separated by commas, for SQLAlchemy's asyncpg dialect.

    `target_session_attrs` selects among several hosts, unless the URL has its own. Raises ValueError for anything
    else, without the URL in the message: it may hold a password.
    """
    parsed = None
    with contextlib.suppress(ArgumentError, ValueError):
        parsed = make_url(_move_hosts_to_query(url))
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("DATABASE_URL must be like postgresql://user:password@host/database.")
    if "sslmode" in parsed.query:
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": parsed.query["sslmode"]})
    hosts = parsed.query.get("host", "")
    if (isinstance(hosts, tuple) or "," in hosts) and "target_session_attrs" not in parsed.query:
        parsed = parsed.update_query_dict({"target_session_attrs": target_session_attrs})
    return parsed.set(drivername="postgresql+asyncpg")


def _libpq_url(url: URL) -> str:
    if "ssl" in url.query:
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": url.query["ssl"]})
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _move_hosts_to_query(url: str) -> str:
    match = MULTI_HOST_URL.fullmatch(url)
    if match is None:
        return url
    pairs = [host.rpartition(":") if ":" in host else (host, ":", "5432") for host in match["hosts"].split(",")]
    hosts, ports = ",".join(pair[0] for pair in pairs), ",".join(pair[2] for pair in pairs)
    arguments = f"host={hosts}&port={ports}" + (f"&{match['query']}" if match["query"] else "")
    return f"{match['start']}{match['path'] or '/'}?{arguments}"


def read_settings(*, require_complete: bool = False) -> Settings:
    """Read the settings; raises CommandError for invalid ones and, with `require_complete`, for missing ones."""
    try:
        settings = Settings()
        if require_complete or settings.database_url:
            _ = settings.primary_url, settings.replica_url
        if require_complete:
            _ = settings.secret_keys, settings.salt
    except ValidationError as error:
        details = error.errors(include_input=False)
        problems = [f"{str(detail['loc'][0]).upper()}: {detail['msg']}" for detail in details]
        raise CommandError("Invalid settings. " + ". ".join(problems) + ".") from error
    except SettingsError as error:
        # The name of the setting is only in the message.
        name = str(error).split('"')[1].upper()
        raise CommandError(f"Invalid settings. {name}: Input should be JSON.") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    return settings
