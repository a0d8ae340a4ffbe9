"""The audits of `graphql-http`, which hold a server to the specification of GraphQL over HTTP."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

AUDIT_COUNT = 61


def test_every_audit_of_graphql_over_http_passes(
    project: Callable[[str], Path],
    command: Callable[..., "subprocess.CompletedProcess[str]"],
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = command(project("audits"), "node", "main.mjs")
    found = json.loads(done.stdout)
    passed = [audit for audit in found if audit["status"] == "ok"]
    with capsys.disabled():
        sys.stdout.write(f" {len(passed)}/{len(found)} audits ")

    assert [audit for audit in found if audit not in passed] == []
    assert len(found) == AUDIT_COUNT
