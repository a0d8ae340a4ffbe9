"""Platform messages: encrypted in the queue, and logged in development only."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import platform_messages
from graphql_api.domain.platform_messages import MessageKind
from graphql_api.gateways import Gateways
from graphql_api.settings import Settings


async def waiting(database: Database, signer: Signer, kind: MessageKind, to: str, **values: str) -> dict[str, Any]:
    """Enqueue a message; returns its payload."""
    async with database.transaction() as tx:
        await platform_messages.send(tx, signer, kind, uuid4(), to, **values)
        payload: dict[str, Any] = json.loads(await tx.scalar(text("SELECT payload FROM pgqueuer")))
        return payload


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ("production", []),
        (
            "development",
            [("447700900123", "12345 is your Notify code. Use it within 30 minutes, and do not share it.")],
        ),
    ],
)
async def test_a_code_is_logged_in_development_only(
    database: Database, settings: Settings, signer: Signer, environment: str, printed: list[Any]
) -> None:
    payload = await waiting(database, signer, MessageKind.SIGN_IN_CODE, "07700 900123", code="12345")

    with capture_logs() as logs:
        await platform_messages.deliver(
            payload,
            signer=signer,
            gateways=Gateways({}),
            settings=settings.model_copy(update={"environment": environment}),
        )

    assert [(line["to"], line["text"]) for line in logs] == printed


async def test_braces_in_a_name_are_not_replaced(database: Database, signer: Signer) -> None:
    payload = await waiting(database, signer, MessageKind.ADDRESS_REGISTERED, "a@example.gov.uk", name="{to} {code}")

    message = platform_messages.decode_payload(payload, signer)

    assert message.text.startswith("Dear {to} {code},\n")
    assert (message.channel, message.from_local_part, str(message.id)) == ("email", "notify", payload["id"])


async def test_a_message_is_decrypted_with_an_older_key_and_with_no_other(database: Database, signer: Signer) -> None:
    payload = await waiting(
        database, Signer((b"older-secret-key",), b""), MessageKind.SIGN_IN_CODE, "07700900123", code="12345"
    )

    assert platform_messages.decode_payload(payload, signer).recipient == "447700900123"
    with pytest.raises(tokens.InvalidToken):
        platform_messages.decode_payload(payload, Signer((b"another-key",), b""))
    with pytest.raises(tokens.InvalidToken):
        platform_messages.decode_payload(payload | {"sealed": "nonsense"}, signer)
