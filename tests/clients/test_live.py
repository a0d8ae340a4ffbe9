"""The common clients ask, and follow a job to its end, over every transport that they have."""

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
    done = command(project("live"), "node", "main.mjs")

    told = json.loads(done.stdout)
    assert list(told) == CLIENTS
    for client in CLIENTS:
        assert told[client]["asked"] == server.service_id
        assert told[client]["followed"] is True
        assert told[client]["last"] == [2, True]
