"""The audits of `graphql-http`, which test conformance to the GraphQL over HTTP specification."""

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
    process = command(project("audits"), "node", "main.mjs")
    audits = json.loads(process.stdout)
    passed = [audit for audit in audits if audit["status"] == "ok"]
    with capsys.disabled():
        sys.stdout.write(f" {len(passed)}/{len(audits)} audits ")

    assert [audit for audit in audits if audit not in passed] == []
    assert len(audits) == AUDIT_COUNT
