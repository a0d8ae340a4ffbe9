"""The environment becomes settings, read once; every default is safe in production."""

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
    """Every setting, by the name of its environment variable.

    Sizes are bytes, times are seconds unless the name says milliseconds.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    environment: Literal["production", "development", "test"] = "production"
    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path(".data")

    database_url: SecretStr | None = None
    database_url_bulk: SecretStr | None = None
    """Where to read what may be a moment old: one or several hosts, of which a standby is preferred."""
    database_url_listen: SecretStr | None = None
    """Where to listen for news: DATABASE_URL without its pooler, where there is one; nothing is heard through it."""
    database_pool_size: int = 8
    database_pool_size_bulk: int = 8
    database_pool_timeout: float = 2
    database_pool_recycle: int = 300
    database_pool_recycle_bulk: int = Field(default=50, lt=60)
    """A pool stays where it is: this brings it back to a replica that was away, within a minute."""
    database_connect_timeout: float = 2
    database_connect_timeout_bulk: float = 1
    database_patience: float = 3
    """For how long a database that is away is looked for, before a request is told so."""
    database_tcp_user_timeout_ms: int = 5_000
    database_keepalives_idle: int = 10
    database_keepalives_interval: int = 5
    database_keepalives_count: int = 3
    database_statement_timeout_ms: int = 4_000
    database_statement_timeout_replica_ms: int = 8_000
    database_max_parallel_workers: int | None = None
    database_max_parallel_workers_replica: int | None = None
    """Workers of one statement, on the primary and on a replica; PostgreSQL's own default unless given."""
    database_lock_timeout_ms: int = 1_000
    database_bulk_max_lag: float = 10
    """A replica further behind than this is not read."""
    database_through_pooler: bool = False
    """PgBouncer in transaction mode stands before the database: nothing is kept on a connection."""

    secret_key: KeyRing = Field(default_factory=list)
    dangerous_salt: SecretStr = SecretStr("")
    internal_client_api_keys: dict[str, list[SecretStr]] = Field(default_factory=dict)

    notify_compatible: bool | None = None
    """Whether to write as Notify does where we would write otherwise, for its own programs read it too.

    Nothing said: wherever Notify's own migrations made the database.
    """

    points_per_minute: int | None = Field(default=None, ge=0)
    """What a caller's operations may cost a minute, 3,000 unless given; 0 lifts the limit."""
    redis_url: SecretStr | None = None
    """Where several processes count those points together; each counts alone without."""

    max_body_bytes: int = 1_000_000
    max_upload_bytes: int = 10_000_000
    request_timeout: float = 10
    shutdown_notice: float | None = None
    """For how long a server that is told to end goes on, and says at `/_status` that it will.

    Nothing said: 5 in production, 0 elsewhere.
    """
    live_connections: int = 2_000
    """WebSockets and streams of events that a process keeps open."""
    live_connections_per_caller: int = 100
    """Those of them that are one person's or one key's."""
    connections_per_address: int = 200
    """How many connections one address may hold to one process; those of `proxies` are not counted."""
    proxies: list[IPvAnyNetwork] = Field(default_factory=lambda: [ip_network(one) for one in PRIVATE_NETWORKS])
    """Networks from which load balancers pass on what others ask; this machine and private ones unless said."""
    cors_origins: list[str] = Field(default_factory=list)
    introspection: Literal["everyone", "signed-in", "nobody"] = "signed-in"

    persisted_documents: Path | None = None
    """A manifest of the documents that clients send by their ids, or a folder of manifests; read once."""
    free_documents: bool | None = None
    """Whether any other document is answered too; unless said, only where there is no manifest."""
    automatic_documents: bool = False
    """Whether documents are remembered by their hashes when they are sent, so that the hash is enough the next time."""

    metrics_token: SecretStr | None = None
    """What Prometheus sends as a bearer token for `/metrics`; nobody is answered there without one."""

    object_store_url: str | None = None
    sms_gateway: Literal["fake"] | None = None
    email_gateway: Literal["fake", "smtp"] | None = None
    letter_gateway: Literal["fake"] | None = None
    """Where messages go. Each must be said in production, for a fake one pretends to deliver; fake elsewhere."""
    fake_gateway_receipt_after: float = 0.2
    fake_gateway_log: Path | None = None
    """A file that gets a line for each message that the fake gateway takes."""
    smtp_url: SecretStr | None = None
    email_domain: str = "notify.example"

    worker_tasks: int = 64
    """How many tasks a worker has under way at once."""
    worker_lease: float = 5
    """For how long a worker that has died keeps its jobs and messages from the others."""
    delivery_retries: int = 48
    delivery_retry_after: float = 300

    git_commit: str | None = None
    built_at: datetime | None = None

    @field_validator("secret_key", mode="before")
    @classmethod
    def _parse_secret_key(cls, value: Any) -> Any:
        """A JSON list of keys, or one key as it is; the first signs, all are accepted."""
        if isinstance(value, str):
            if value.startswith("["):
                import json  # noqa: PLC0415 - only where the list form is used

                return json.loads(value)
            return [value] if value else []
        return value

    def is_proxy(self, address: str) -> bool:
        """Whether an address is one of `proxies`, which speak for many."""
        try:
            there = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return any(there in network for network in self.proxies)

    @property
    def is_development(self) -> bool:
        """Whether this is a developer's own machine: the explorer is served and introspection is open."""
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
        """Points a minute; so many on a developer's own machine that only a loop would notice."""
        if self.points_per_minute is not None:
            return self.points_per_minute
        return 600_000 if self.is_development else 3_000

    @cached_property
    def primary_url(self) -> URL:
        """Where to write; refuses to guess."""
        if self.database_url is None:
            raise ValueError("Set DATABASE_URL, or use `./run dev`, which starts a PostgreSQL of its own.")
        return asyncpg_url(self.database_url.get_secret_value())

    @property
    def libpq_url(self) -> str:
        """DATABASE_URL as asyncpg and PostgreSQL's own programs take it, with its password."""
        return _libpq_url(self.primary_url)

    @property
    def listen_url(self) -> str | None:
        """Where to listen, likewise; None where there is only a pooler."""
        if self.database_url_listen is not None:
            return _libpq_url(asyncpg_url(self.database_url_listen.get_secret_value()))
        return None if self.database_through_pooler or self.database_url is None else self.libpq_url

    @cached_property
    def replica_url(self) -> URL | None:
        """Where to read what may be a moment old; None for the primary."""
        if self.database_url_bulk is None:
            return None
        return asyncpg_url(self.database_url_bulk.get_secret_value(), target_session_attrs="prefer-standby")

    @cached_property
    def secret_keys(self) -> list[bytes]:
        """Keys of Notify's signatures; the first signs, all are accepted."""
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
    r"(?P<begin>\w[\w+]*://(?:[^@/?]*@)?)(?P<hosts>[^/?@]*,[^/?@]*)(?P<end>/[^?]*)?(?:\?(?P<query>.*))?"
)
"""A URL as libpq takes it, with hosts and their ports between commas."""


def asyncpg_url(url: str, *, target_session_attrs: str = "read-write") -> URL:
    """A plain `postgresql://` URL, for SQLAlchemy's asyncpg dialect; several hosts may stand between commas.

    Of several hosts the first is taken that is as `preferring` says, unless `target_session_attrs` of the URL says
    otherwise. Raises ValueError, without the URL, which may hold a password, for anything else.
    """
    made = None
    with contextlib.suppress(ArgumentError, ValueError):
        made = make_url(_move_hosts_to_query(url))
    if made is None or made.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("DATABASE_URL must be like postgresql://user:password@host/database.")
    if "sslmode" in made.query:
        made = made.difference_update_query(["sslmode"]).update_query_dict({"ssl": made.query["sslmode"]})
    hosts = made.query.get("host", "")
    if (isinstance(hosts, tuple) or "," in hosts) and "target_session_attrs" not in made.query:
        made = made.update_query_dict({"target_session_attrs": target_session_attrs})
    return made.set(drivername="postgresql+asyncpg")


def _libpq_url(url: URL) -> str:
    if "ssl" in url.query:
        url = url.difference_update_query(["ssl"]).update_query_dict({"sslmode": url.query["ssl"]})
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _move_hosts_to_query(url: str) -> str:
    found = MULTI_HOST_URL.fullmatch(url)
    if found is None:
        return url
    pairs = [host.rpartition(":") if ":" in host else (host, ":", "5432") for host in found["hosts"].split(",")]
    hosts, ports = ",".join(pair[0] for pair in pairs), ",".join(pair[2] for pair in pairs)
    arguments = f"host={hosts}&port={ports}" + (f"&{found['query']}" if found["query"] else "")
    return f"{found['begin']}{found['end'] or '/'}?{arguments}"


def read_settings(*, require_complete: bool = False) -> Settings:
    """The settings; `complete` complains now of those that a process could not do without."""
    try:
        settings = Settings()
        if require_complete or settings.database_url:
            _ = settings.primary_url, settings.replica_url
        if require_complete:
            _ = settings.secret_keys, settings.salt
    except ValidationError as error:
        wrong = [f"{str(one['loc'][0]).upper()}: {one['msg']}" for one in error.errors(include_input=False)]
        raise CommandError("Settings are wrong. " + ". ".join(wrong) + ".") from error
    except SettingsError as error:
        # Which one it is, only its sentence tells.
        name = str(error).split('"')[1].upper()
        raise CommandError(f"Settings are wrong. {name}: Input should be JSON.") from error
    except ValueError as error:
        raise CommandError(str(error)) from error
    return settings
