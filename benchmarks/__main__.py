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
"""Load average above which another program is running: comparing responses alone makes 1."""


def main() -> int:
    """Measure, and print the results; the exit status is 1 where nothing can be measured, or responses differ."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all servers are stopped
    try:
        run, machine = _run(options)
    except (CommandError, ResponseMismatch) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    print(tables.table(run))
    print(f"\n{tables.markdown(run)}\n\n{machine}")
    if options.draw and tables.target_measurements(run):
        options.draw.write_text(charts.draw(run, machine))
        print(f"Chart: {options.draw}")
    return 0


def _run(options: argparse.Namespace) -> tuple[Run, str]:
    """The run, and a description of the machine; raises `CommandError` and `ResponseMismatch`."""
    if not hasattr(os, "sched_setaffinity"):
        raise CommandError("The benchmark needs Linux, to bind each program to a core.")
    cores = sorted(os.sched_getaffinity(0))
    server_core, client_core = cores[0], cores[-1]
    os.sched_setaffinity(0, {client_core})
    folder = Path(os.environ.get("DATA_DIR", ".data")).absolute() / "bench"
    with contextlib.ExitStack() as stack:
        database, environment, parameters = stack.enter_context(databases.running(folder, options.notifications))
        asyncio.run(measurements.StatementCounter(database.url()).stop())
        running = [
            stack.enter_context(servers.running(kind, server_core, environment, _headers(kind, parameters), folder))
            for kind in _available_kinds(options.servers)
        ]
        postmaster = Cluster(database.data_dir).postmaster_pid()
        selected = select_scenarios(running, parameters, options.only)
        if postmaster is None or not running or not selected:
            raise CommandError("No such scenario, or no server for it: see benchmarks/scenarios.py.")
        run = Run(running, selected, postmaster, QUICK_TIMING if options.quick else FULL_TIMING)
        machine = _machine(database.url(), len(cores))
        print(f"{machine}\nComparing responses ...", flush=True)
        run.compare()
        run.count_statements(database.url())
        print(
            f"All responses are equal. Measuring {run.timing.rounds} turns of {run.timing.seconds_per_turn:g} s ...",
            flush=True,
        )
        if os.getloadavg()[0] > BUSY_LOAD_AVERAGE:
            print("Other programs use the processor: compare ratios and CPU times, not rates.", flush=True)
        run.measure()
        if options.soak:
            run.soak(options.soak)
    return run, machine


def _available_kinds(names: Sequence[str]) -> Iterator[servers.ServerKind]:
    """The kinds of server that were selected and can be run."""
    for kind in servers.SERVER_KINDS:
        if names and kind.name not in names:
            continue
        try:
            servers.prepare(kind)
        except servers.ServerUnavailable as error:
            print(f"Left out: {kind.name}. {error}", flush=True)
        else:
            yield kind


def _headers(kind: servers.ServerKind, parameters: databases.Parameters) -> dict[str, str]:
    """Headers of the requests: only this server authenticates."""
    return {"authorization": f"Bearer {parameters.token}"} if kind.language == scenarios.OURS else {}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description="Compare this server with hand-written SQL and PostGraphile: one core for the server, "
        "another for PostgreSQL and the client. The data are made on the first run and stored in DATA_DIR/bench.",
    )
    parser.add_argument("--quick", action="store_true", help="shorter turns: two minutes instead of twelve")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="SCENARIO", help="such as point, dashboard, page or cold"
    )
    names = [kind.name for kind in servers.SERVER_KINDS]
    parser.add_argument("--servers", nargs="+", default=[], choices=names, help="only these servers")
    parser.add_argument(
        "--notifications",
        type=int,
        default=databases.DEFAULT_MESSAGE_COUNT,
        metavar="N",
        help="number of messages (500000)",
    )
    parser.add_argument(
        "--soak",
        type=int,
        default=0,
        metavar="N",
        help="send N more requests of the first scenario before memory is measured",
    )
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the chart, SVG, to this file")
    return parser.parse_args()


def _machine(url: str, cores: int) -> str:
    """The machine and the versions of the programs, in a line."""
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = re.sub(r"\((R|TM)\)", "", match[1]).strip() if match else platform.machine()
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
