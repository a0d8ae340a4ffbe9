"""The demo in a database: its service, its users, their password and its API key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pwdlib.hashers.argon2 import Argon2Hasher

from graphql_api.auth import crypto
from graphql_api.content import names
from graphql_api.errors import CommandError
from graphql_api.seed import datasets, organisations, services
from graphql_api.seed.datasets import fixed_id

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from graphql_api.auth.crypto import Signer

DEMO_ROLES = (organisations.ADMIN, organisations.MANAGER, organisations.VIEWER)


class SeedError(CommandError):
    """The database cannot take the demo data; the message is one sentence with the reason."""


@dataclass(frozen=True)
class Demo:
    """What a new user needs in order to try the demo data."""

    service_id: UUID
    template_ids: dict[str, UUID]
    """By channel: `sms` and `email`."""
    user_ids: dict[str, UUID]
    """By role: `platform_admin`, `service_manager` and `service_viewer`."""
    email_addresses: dict[str, str]
    """By role."""
    password: str
    """Of every user. All sign in by text message."""
    api_key: str
    """A live key of the service, in the form in which clients send it."""
    created: bool
    """Whether this run created the data."""


async def find_demo(connection: asyncpg.Connection, signer: Signer, *, created: bool = False) -> Demo | None:
    """Read the demo from the database; None when there is none.

    Raises `SeedError` when it was signed with other secrets.
    """
    service_id = fixed_id(services.DEMO_SERVICE)
    if not await connection.fetchval("SELECT true FROM services WHERE id = $1", service_id):
        return None
    user_ids = {role: fixed_id(role) for role in DEMO_ROLES}
    users = await connection.fetch("SELECT id, email_address FROM users WHERE id = ANY($1)", list(user_ids.values()))
    addresses = {user["id"]: user["email_address"] for user in users}
    key = await connection.fetchrow(
        """
        SELECT name, secret FROM api_keys
        WHERE service_id = $1 AND key_type = 'normal' AND expiry_date IS NULL
        ORDER BY created_at LIMIT 1
        """,
        service_id,
    )
    try:
        text = f"{names.api_key_prefix(key['name'])}-{service_id}-{signer.unsign(key['secret'])}" if key else ""
    except crypto.BadSignature as error:
        raise SeedError("The demo data were made with another SECRET_KEY or DANGEROUS_SALT: start over.") from error
    return Demo(
        service_id=service_id,
        template_ids={channel: fixed_id("template", channel) for channel in ("sms", "email")},
        user_ids=user_ids,
        email_addresses={role: addresses[user_id] for role, user_id in user_ids.items() if user_id in addresses},
        password=_password(signer),
        api_key=text,
        created=created,
    )


async def hash_password(signer: Signer) -> str:
    """The hash of every user's password, the same on each run; in a thread, as Argon2 takes long."""
    salt = datasets.derive_secret(signer, "salt of the password").bytes
    hasher = Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
    return await asyncio.to_thread(hasher.hash, _password(signer), salt=salt)


def _password(signer: Signer) -> str:
    return f"demo-{datasets.derive_secret(signer, 'password').hex[:16]}"
