"""`./run bench`: the whole benchmark, or a part of it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import databases, measures, pictures, questions, servers, tables
from benchmarks.runs import Pace, Run, Unequal, questions_for
from graphql_api.postgres.clusters import Cluster

FULL, QUICK = Pace(1.5, 5), Pace(0.4, 3)


def main() -> int:
    """Measure, and print; the exit status is 1 where answers differ."""
    options = _options()
    if not hasattr(os, "sched_setaffinity"):
        print("The benchmark needs Linux: it gives each program its core.", file=sys.stderr)
        return 1
    cores = sorted(os.sched_getaffinity(0))
    serving, loading = cores[0], cores[-1]
    os.sched_setaffinity(0, {loading})
    folder = Path(os.environ.get("DATA_DIR", ".data")).absolute() / "bench"
    pace = QUICK if options.quick else FULL
    with contextlib.ExitStack() as stack:
        server, environment, facts = stack.enter_context(databases.running(folder, options.notifications))
        asyncio.run(measures.Statements(server.url()).end())
        running = []
        for kind in servers.KINDS:
            if options.servers and kind.name not in options.servers:
                continue
            try:
                servers.prepare(kind)
            except servers.Missing as missing:
                print(f"Left out: {kind.name}. {missing}", flush=True)
                continue
            headers = {"authorization": f"Bearer {facts.token}"} if kind.language == questions.OURS else {}
            running.append(stack.enter_context(servers.running(kind, serving, environment, headers, folder)))
        postmaster = Cluster(server.data_dir).postmaster()
        if postmaster is None or not running:
            print("There is nothing to measure.", file=sys.stderr)
            return 1
        run = Run(running, questions_for(running, facts, options.only), postmaster, pace)
        machine = _machine(server.url(), len(cores))
        print(f"{machine}\nComparing answers ...", flush=True)
        try:
            run.compare()
        except Unequal as unequal:
            print(unequal, file=sys.stderr)
            return 1
        run.count_statements(server.url())
        print(f"All answer the same. Measuring, {pace.rounds} turns of {pace.seconds:g} s each ...", flush=True)
        run.measure()
    print(tables.table(run))
    print(f"\n{tables.markdown(run)}\n\n{machine}")
    if options.draw:
        options.draw.write_text(pictures.draw(run, machine))
        print(f"Drawn: {options.draw}")
    return 0


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
    names = [kind.name for kind in servers.KINDS]
    parser.add_argument("--servers", nargs="+", default=[], choices=names, help="leave the others out")
    parser.add_argument("--notifications", type=int, default=databases.MESSAGES, metavar="N", help="messages (500000)")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="write the picture, SVG, there")
    return parser.parse_args()


def _machine(url: str, cores: int) -> str:
    """What it was measured on, in a line."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = re.sub(r"\((R|TM)\)", "", found[1]).strip() if found else platform.machine()
    parts = [f"{model}, {cores} cores", f"Python {platform.python_version()}", asyncio.run(_version(url))]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        node = subprocess.run([servers.node(), "--version"], check=True, capture_output=True, text=True)  # noqa: S603
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
