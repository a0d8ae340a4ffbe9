"""`./run bench`: the whole benchmark, or a part of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import charts, databases, measurements, scenarios, servers, tables
from benchmarks.runs import ResponseMismatch, Run, Timing, select_scenarios
from graphql_api.errors import CommandError
from graphql_api.postgres.clusters import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FULL_TIMING, QUICK_TIMING = Timing(1.5, 5), Timing(0.4, 3)
BUSY_LOAD_AVERAGE = 1.2
"""Programs that run at once, where comparing answers alone makes one of them."""


def main() -> int:
    """Measure, and print; the exit status is 1 where nothing can be measured, or answers differ."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that no server is left behind
    try:
        run, machine = _run(options)
    except (CommandError, ResponseMismatch) as complaint:
        print(complaint, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(tables.table(run))
    print(f"\n{tables.markdown(run)}\n\n{machine}")
    if options.draw and tables.target_measurements(run):
        options.draw.write_text(charts.draw(run, machine))
        print(f"Drawn: {options.draw}")
    return 0


def _run(options: argparse.Namespace) -> tuple[Run, str]:
    """The run, and the machine that it was on; raises `Complaint` and `Unequal`."""
    if not hasattr(os, "sched_setaffinity"):
        raise CommandError("The benchmark needs Linux: it gives each program its core.")
    cores = sorted(os.sched_getaffinity(0))
    serving, loading = cores[0], cores[-1]
    os.sched_setaffinity(0, {loading})
    folder = Path(os.environ.get("DATA_DIR", ".data")).absolute() / "bench"
    with contextlib.ExitStack() as stack:
        database, environment, facts = stack.enter_context(databases.running(folder, options.notifications))
        asyncio.run(measurements.StatementCounter(database.url()).stop())
        running = [
            stack.enter_context(servers.running(kind, serving, environment, _headers(kind, facts), folder))
            for kind in _available_kinds(options.servers)
        ]
        postmaster = Cluster(database.data_dir).postmaster_pid()
        asked = select_scenarios(running, facts, options.only)
        if postmaster is None or not running or not asked:
            raise CommandError("There is no such question, or no server for it: see benchmarks/questions.py.")
        run = Run(running, asked, postmaster, QUICK_TIMING if options.quick else FULL_TIMING)
        machine = _machine(database.url(), len(cores))
        print(f"{machine}\nComparing answers ...", flush=True)
        run.compare()
        run.count_statements(database.url())
        print(
            f"All answer the same. Measuring, {run.timing.rounds} turns of {run.timing.seconds_per_turn:g} s each ...",
            flush=True,
        )
        if os.getloadavg()[0] > BUSY_LOAD_AVERAGE:
            print("The machine is busy with something else: read ratios and CPU, not rates.", flush=True)
        run.measure()
        if options.soak:
            run.soak(options.soak)
    return run, machine


def _available_kinds(names: Sequence[str]) -> Iterator[servers.ServerKind]:
    """The servers that are wanted and can be run."""
    for kind in servers.SERVER_KINDS:
        if names and kind.name not in names:
            continue
        try:
            servers.prepare(kind)
        except servers.ServerUnavailable as missing:
            print(f"Left out: {kind.name}. {missing}", flush=True)
        else:
            yield kind


def _headers(kind: servers.ServerKind, facts: databases.Parameters) -> dict[str, str]:
    """Who asks: ours wants to know."""
    return {"authorization": f"Bearer {facts.token}"} if kind.language == scenarios.OURS else {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Measure ours beside SQL by hand and PostGraphile: one core for the server in turn, another for "
        "PostgreSQL and the load. The data are made the first time and kept in DATA_DIR/bench.",
    )
    parser.add_argument("--quick", action="store_true", help="shorter turns: two minutes instead of twelve")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="QUESTION", help="such as point, dashboard, page or cold"
    )
    names = [kind.name for kind in servers.SERVER_KINDS]
    parser.add_argument("--servers", nargs="+", default=[], choices=names, help="leave the others out")
    parser.add_argument(
        "--notifications", type=int, default=databases.DEFAULT_MESSAGE_COUNT, metavar="N", help="messages (500000)"
    )
    parser.add_argument(
        "--soak",
        type=int,
        default=0,
        metavar="N",
        help="so many requests more of the first question before memory is read",
    )
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, SVG, there")
    return parser.parse_args()


def _machine(url: str, cores: int) -> str:
    """What it was measured on, in a line."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = re.sub(r"\((R|TM)\)", "", found[1]).strip() if found else platform.machine()
    parts = [f"{model}, {cores} cores", f"Python {platform.python_version()}", asyncio.run(_version(url))]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        node = subprocess.run([servers.node_path(), "--version"], check=True, capture_output=True, text=True)  # noqa: S603
        parts.append(f"Node {node.stdout.strip().removeprefix('v')}")
    return f"{', '.join(parts)}; {datetime.now(UTC):%B %Y}"


async def _version(url: str) -> str:
    import asyncpg  # noqa: PLC0415 - for this line only

    connection = await asyncpg.connect(url)
    try:
        return f"PostgreSQL {(await connection.fetchval('SHOW server_version')).split()[0]}"
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
