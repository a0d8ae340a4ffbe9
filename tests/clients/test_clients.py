"""Code that common generators make of the schema compiles, and works against a real server."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.clients.conftest import command_runner
from tests.dev_server import ROOT, DevServer, running_dev_server

pytestmark = pytest.mark.timeout(300)

GRAPHQL_RESPONSE_TYPE = "application/graphql-response+json"
Project = Callable[[str], Path]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def expected_codegen_output(server: DevServer) -> dict[str, Any]:
    """Output of its client."""
    return {
        "service": server.service_id,
        "serviceType": "Service",
        "rows": 10,
        "differentRows": 10,
        "groups": ["DELIVERED", "FAILED"],
        "refused": {"refusals": ["MISSING_PLACEHOLDER_COLUMN"]},
        "finished": {"status": "FINISHED_ALL_NOTIFICATIONS_CREATED", "delivered": 2, "failed": 0},
    }


def expected_relay_output(server: DevServer) -> dict[str, Any]:
    """Output of its client."""
    return {
        "admin": False,
        "service": server.service_id,
        "firstPage": 4,
        "bothPages": 8,
        "different": 8,
        "startsWithTheFirst": True,
        "madeFor": server.service_id,
        "userErrors": [],
    }


def test_codegen_types_a_client_from_introspection(
    project: Project, command: Command, tools: Path, server: DevServer
) -> None:
    folder = project("codegen")

    command(folder, tools / "graphql-codegen", "--config", "codegen.ts")
    command(folder, tools / "tsc", "--project", ".")
    process = command(folder, "node", "built/main.js")

    assert json.loads(process.stdout) == expected_codegen_output(server)


def test_relay_compiles_against_the_printed_schema_and_pages_through_a_connection(
    project: Project, command: Command, tools: Path, server: DevServer
) -> None:
    folder = project("relay")
    shutil.copy(ROOT / "schema" / "schema.graphql", folder)

    command(folder, tools / "relay-compiler")
    command(folder, tools / "tsc", "--project", ".")
    process = command(folder, "node", "built/main.js")

    assert json.loads(process.stdout) == expected_relay_output(server)
    assert process.stderr == ""  # Relay warns there, for example of an id that two objects share


def test_a_server_answers_only_the_documents_that_both_clients_persist(
    project: Project, tools: Path, tmp_path: Path
) -> None:
    codegen, relay, manifests = project("codegen"), project("relay"), tmp_path / "manifests"
    manifests.mkdir()
    run = command_runner(None)
    for folder in (codegen, relay):
        shutil.copy(ROOT / "schema" / "schema.graphql", folder)
    (relay / "persisted.json").write_text("{}")
    run(codegen, tools / "graphql-codegen", "--config", "persisted.ts")
    run(relay, tools / "relay-compiler", "persisted.config.json")
    shutil.copy(codegen / "src/generated/persisted-documents.json", manifests / "codegen.json")
    shutil.copy(relay / "persisted.json", manifests / "relay.json")

    with running_dev_server(tmp_path / "data", PERSISTED_DOCUMENTS=str(manifests)) as server:
        run = command_runner(server)
        outputs = []
        for folder in (codegen, relay):
            run(folder, tools / "tsc", "--project", ".")
            outputs.append(json.loads(run(folder, "node", "built/main.js").stdout))
        free = httpx2.post(
            server.graphql_url, json={"query": "{ __typename }"}, headers={"accept": GRAPHQL_RESPONSE_TYPE}
        )

    assert outputs == [expected_codegen_output(server), expected_relay_output(server)]
    assert free.status_code == 400


def test_clients_of_automatic_documents_send_a_text_once(project: Project, tmp_path: Path) -> None:
    with running_dev_server(tmp_path / "data", AUTOMATIC_DOCUMENTS="true") as server:
        process = command_runner(server)(project("automatic"), "node", "main.mjs")

    service_ids = [server.service_id] * 2
    assert json.loads(process.stdout) == {
        "apollo": {"sent": ["POST hash", "POST text", "POST hash"], "received": service_ids},
        "urql": {"sent": ["POST hash", "POST text", "POST hash"], "received": service_ids},
        "urql, by GET": {"sent": ["GET hash", "GET text", "GET hash"], "received": service_ids},
    }
