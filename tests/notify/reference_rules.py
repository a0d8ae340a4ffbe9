"""Notify's own rules for its database and tokens, written without code of this project."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

SIGNED_COLUMNS = {
    "api_keys": "secret",
    "api_keys_history": "secret",
    "notifications": "_personalisation",
    "inbound_sms": "content",
    "service_callback_api": "bearer_token",
    "service_callback_api_history": "bearer_token",
}
"""Signed columns, by table."""

HISTORY_TABLES = {
    "services": "services_history",
    "api_keys": "api_keys_history",
    "templates": "templates_history",
    "service_callback_api": "service_callback_api_history",
    "template_email_files": "template_email_files_history",
    "provider_details": "provider_details_history",
}
"""Tables with versions, each with its history table."""


class AuthenticationError(Exception):
    """Notify's API responds with 401 or 403; the message is the reason."""


@dataclass(frozen=True)
class NotifyRules:
    """Notify with these secrets."""

    secret_keys: Sequence[bytes]
    salt: bytes

    def unsign(self, signed: str) -> Any:
        """Value of a signed column, signed with any of the keys."""
        *whole, signature = signed.split(".")
        body = ".".join(whole)
        made_by = [hashlib.sha1(self.salt + b"signer" + key).digest() for key in self.secret_keys]  # noqa: S324 - theirs
        if _unb64(signature) not in [hmac.digest(key, body.encode(), "sha1") for key in made_by]:
            raise AuthenticationError("signature")
        data = _unb64(whole[-1])
        return json.loads(zlib.decompress(data) if body.startswith(".") else data)

    async def authenticate(self, connection: AsyncConnection, header: str, *, now: datetime) -> Row[Any]:
        """The key that a request's `Authorization` belongs to; `now` is UTC."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationError("no token")
        claims = _claims(token)
        service = await self._service(connection, claims["iss"])
        since = now.replace(tzinfo=None) - timedelta(days=7)
        rows = await connection.execute(
            text("SELECT * FROM api_keys WHERE service_id = :id AND (expiry_date IS NULL OR expiry_date > :since)"),
            {"id": service.id, "since": since},
        )
        keys = rows.all()
        if not keys:
            raise AuthenticationError("no keys")
        if not service.active:
            raise AuthenticationError("archived")
        for key in keys:
            if not _signed_with(token, self.unsign(key.secret)):
                continue
            if abs(int(now.timestamp()) - claims["iat"]) > 30:
                raise AuthenticationError("clock")
            if key.expiry_date is not None:
                raise AuthenticationError("revoked")
            return key
        raise AuthenticationError("unknown key")

    async def _service(self, connection: AsyncConnection, issuer: str) -> Row[Any]:
        try:
            service_id = UUID(issuer)
        except ValueError:
            raise AuthenticationError("issuer") from None
        rows = await connection.execute(text("SELECT id, active FROM services WHERE id = :id"), {"id": service_id})
        service = rows.first()
        if service is None:
            raise AuthenticationError("unknown service")
        return service


def client_authorization_header(client_key: str, *, at: datetime | None = None) -> str:
    """The token that an official client makes of a key, whose parts it reads from the end."""
    secret, service_id = client_key[-36:], client_key[-73:-37]
    issued = int((at or datetime.now(UTC)).timestamp())
    head = _b64(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    body = _b64(json.dumps({"iss": service_id, "iat": issued}).encode())
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"Bearer {head}.{body}.{_b64(signature)}"


def _claims(token: str) -> dict[str, Any]:
    head, body, _ = token.split(".")
    if json.loads(_unb64(head))["alg"] != "HS256":
        raise AuthenticationError("algorithm")
    claims: dict[str, Any] = json.loads(_unb64(body))
    return claims


def _signed_with(token: str, secret: str) -> bool:
    signed, _, signature = token.rpartition(".")
    return hmac.compare_digest(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest(), _unb64(signature))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(data: str) -> bytes:
    return base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))


async def history_differences(connection: AsyncConnection) -> list[tuple[str, str, list[str]]]:
    """Where a row and its last version differ, column by column: (table, id, columns); a row without one: `version`."""
    differences = []
    for table, history in HISTORY_TABLES.items():
        rows = await connection.execute(
            text(
                f"""
                SELECT present.id, to_jsonb(present), to_jsonb(kept)
                FROM {table} AS present LEFT JOIN {history} AS kept USING (id, version)
                """
            )
        )
        for row_id, present, kept in rows:
            if kept is None:
                differences.append((table, str(row_id), ["version"]))
            elif different := [name for name in kept if kept[name] != present.get(name)]:
                differences.append((table, str(row_id), different))
    return differences


async def history_gaps(connection: AsyncConnection) -> list[tuple[str, str]]:
    """Rows whose versions are not 1 to the current one, or whose `created_at` changed: (table, id)."""
    gaps = []
    for table, history in HISTORY_TABLES.items():
        steady = "" if table == "provider_details" else "OR count(DISTINCT kept.created_at) > 1"
        rows = await connection.execute(
            text(
                f"""
                SELECT present.id FROM {table} AS present LEFT JOIN {history} AS kept USING (id)
                GROUP BY present.id, present.version
                HAVING array_agg(kept.version ORDER BY kept.version)
                    <> ARRAY(SELECT generate_series(1, present.version)) {steady}
                """
            )
        )
        gaps += [(table, str(row_id)) for (row_id,) in rows]
    return gaps


async def version_changes(connection: AsyncConnection, table: str, row_id: UUID) -> list[set[str]]:
    """The columns that each version after the first changed."""
    rows = await connection.execute(
        text(f"SELECT to_jsonb(kept) FROM {HISTORY_TABLES[table]} AS kept WHERE id = :id ORDER BY kept.version"),
        {"id": row_id},
    )
    states: list[dict[str, Any]] = list(rows.scalars())
    return [{name for name in after if after[name] != before[name]} for before, after in itertools.pairwise(states)]
