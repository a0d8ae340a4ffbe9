"""What the common code generators make of the schema compiles, and what they compile works against a real server."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dev_server import ROOT, DevServer

pytestmark = pytest.mark.timeout(300)

Project = Callable[[str], Path]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_codegen_types_a_client_from_introspection(
    project: Project, command: Command, tools: Path, server: DevServer
) -> None:
    folder = project("codegen")

    command(folder, tools / "graphql-codegen", "--config", "codegen.ts")
    command(folder, tools / "tsc", "--project", ".")
    done = command(folder, "node", "built/main.js")

    assert json.loads(done.stdout) == {
        "service": server.service_id,
        "serviceType": "Service",
        "rows": 10,
        "differentRows": 10,
        "groups": ["DELIVERED", "FAILED"],
        "refused": {"refusals": ["MISSING_PLACEHOLDER_COLUMN"]},
        "finished": {"status": "FINISHED_ALL_NOTIFICATIONS_CREATED", "delivered": 2, "failed": 0},
    }


def test_relay_compiles_against_the_printed_schema_and_pages_through_a_connection(
    project: Project, command: Command, tools: Path, server: DevServer
) -> None:
    folder = project("relay")
    shutil.copy(ROOT / "schema" / "schema.graphql", folder)

    command(folder, tools / "relay-compiler")
    command(folder, tools / "tsc", "--project", ".")
    done = command(folder, "node", "built/main.js")

    assert json.loads(done.stdout) == {
        "admin": False,
        "service": server.service_id,
        "firstPage": 4,
        "bothPages": 8,
        "different": 8,
        "startsWithTheFirst": True,
        "madeFor": server.service_id,
        "userErrors": [],
    }
    assert done.stderr == ""  # where Relay complains, such as about an id that two objects share
