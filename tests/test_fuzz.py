"""A few hundred malformed requests; `./run test fuzz` sends a hundred thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.runs import fuzz
from tests.worker.harnesses import WorkerHarness, harness, worker_url

__all__ = ["harness", "worker_url"]


@pytest.mark.timeout(900)
async def test_every_request_has_a_response_that_reveals_nothing(harness: WorkerHarness, tmp_path: Path) -> None:
    report, log = await fuzz(harness, tmp_path, seed=2_026, requests=300)

    assert report.failures == []
    assert "Traceback" not in log
    assert "plan failed" not in log
