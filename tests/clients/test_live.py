"""Common clients query, and subscribe to a job until it ends, over every transport that they support."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dev_server import DevServer

pytestmark = pytest.mark.timeout(300)

CLIENTS = ["graphql-ws", "graphql-sse", "urql over a socket", "urql over events", "apollo over a socket"]


def test_every_client_queries_and_subscribes_over_every_transport(
    project: Callable[[str], Path],
    command: Callable[..., "subprocess.CompletedProcess[str]"],
    server: DevServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPLATE_ID", server.template_ids["sms"])
    process = command(project("live"), "node", "main.mjs")

    results = json.loads(process.stdout)
    assert list(results) == CLIENTS
    for client in CLIENTS:
        assert results[client]["serviceId"] == server.service_id
        assert results[client]["sameJob"] is True
        assert results[client]["last"] == [2, True]
