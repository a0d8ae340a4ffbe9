"""Ten thousand malformed requests of each seed: no error of the server, no leak, no request without response.

`SEEDS=3,4 REQUESTS=1000 ./run test fuzz` tries others.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.runs import fuzz
from tests.worker.harnesses import WorkerHarness

SEEDS = os.environ.get("SEEDS") or "1,2,3,4,5,6,7,8,9,10"
REQUESTS = int(os.environ.get("REQUESTS") or 10_000)


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", [int(seed) for seed in SEEDS.split(",")])
async def test_every_request_has_a_response_that_reveals_nothing(
    harness: WorkerHarness, tmp_path: Path, seed: int
) -> None:
    # The time is measured only where no other program runs.
    quiet = os.getloadavg()[0] < 1
    report, log = await fuzz(harness, tmp_path, seed, REQUESTS)

    print(  # noqa: T201
        f"seed {seed}: p50 {report.percentile_seconds(50):.4f} s, p99 {report.percentile_seconds(99):.4f} s, "
        f"most {max(report.seconds):.3f} s,"
    )
    print(dict(report.statuses.most_common()), Counter(failure.partition(":")[0] for failure in report.failures))  # noqa: T201
    assert report.failures == []
    assert [
        line for line in log.splitlines() if "Traceback" in line or '"error"' in line or "plan failed" in line
    ] == []
    if quiet:
        assert report.percentile_seconds(99) < 0.06
