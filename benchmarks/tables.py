"""The results of a run, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measurements import ratio
from benchmarks.scenarios import TARGET_SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.measurements import Measurement
    from benchmarks.runs import Run

TARGET_CONCURRENCY = 16
"""Concurrency of the comparisons."""
COLUMNS = ("server", "req/s", "median ms", "p99 ms", "CPU ms", "+ database", "SQL", "failed")


def table(run: Run) -> str:
    """All results, by scenario."""
    titles = {scenario.name: scenario.title for scenario in run.scenarios}
    lines: list[str] = []
    for (name, concurrency), cells in run.measurements.items():
        lines += ["", f"{titles[name]}, {run.field_counts[name]:,} fields, concurrency {concurrency}"]
        lines += aligned([COLUMNS, *(_row(server, cell) for server, cell in cells.items() if cell.rates)])
        lines += [f"  {server}: {cell.note}" for server, cell in cells.items() if cell.note]
    for part in (ratio_lines(run), growth_lines(run), depth_lines(run)):
        lines += ["", *part] if part else []
    lines += ["", "Memory at the end"]
    lines += aligned(
        [
            ("server", "RSS MB", "after requests"),
            *(
                (name, f"{run.resident_megabytes[name]:.0f}", f"{run.request_counts.get(name, 0):,}")
                for name in run.resident_megabytes
            ),
        ]
    )
    return "\n".join(lines)


def markdown(run: Run) -> str:
    """The target scenarios, as a table for the README."""
    names = [server.kind.name for server in run.servers]
    kinds = {server.kind.name: server.kind.title for server in run.servers}
    targets = target_measurements(run)
    heads = [scenario.title for scenario in run.scenarios if scenario.name in targets]
    if not targets:
        return ""
    lines = ["| requests per second | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name in names:
        cells = " | ".join(format_rate(measurements.get(name)) for measurements in targets.values())
        lines.append(f"| {kinds[name]} | {cells} |")
    return "\n".join(lines)


def target_measurements(run: Run) -> dict[str, dict[str, Measurement]]:
    """Measurements of the target scenarios that were run."""
    return {
        name: run.measurements[name, TARGET_CONCURRENCY]
        for name in TARGET_SCENARIOS
        if (name, TARGET_CONCURRENCY) in run.measurements
    }


def ratio_lines(run: Run) -> list[str]:
    """The rates of this server divided by those of the others."""
    rows: list[Sequence[str]] = [("scenario", "at", "/ PostGraphile", "/ by hand", "/ graphql-core")]
    for (name, concurrency), cells in run.measurements.items():
        ours = cells.get("planned") or cells.get("core")
        if ours and ours.rates:
            others = (cells.get(other) for other in ("postgraphile", "handwritten", "core"))
            rows.append((name, str(concurrency), *(_format_ratio(ours, other) for other in others)))
    return ["Requests per second, divided by those of the others", *aligned(rows)]


def growth_lines(run: Run) -> list[str]:
    """Processor time per node, for responses of different sizes."""
    sizes = [
        (scenario.nodes, scenario.name) for scenario in run.scenarios if scenario.name.startswith(("growth", "list"))
    ]
    if len(sizes) < 2:  # noqa: PLR2004 - a comparison needs two
        return []
    cells = [(nodes, run.measurements.get((name, TARGET_CONCURRENCY), {})) for nodes, name in sorted(sizes)]
    heads = ("server", *(f"{nodes:,} nodes" for nodes, _ in cells))
    rows = [
        (
            server.kind.name,
            *(
                f"{1_000 * (cell.server_cpu_ms + cell.database_cpu_ms) / nodes:.1f}" if cell and cell.rates else "-"
                for nodes, cell in ((nodes, by_server.get(server.kind.name)) for nodes, by_server in cells)
            ),
        )
        for server in run.servers
    ]
    return ["Processor time of server and database, microseconds per node", *aligned([heads, *rows])]


def depth_lines(run: Run) -> list[str]:
    """The rates of the deepest page divided by those of the first."""
    pages = [name for name, _ in run.measurements if name.startswith("page-")]
    if len(pages) < 2:  # noqa: PLR2004 - a first and a last
        return []
    first, last = run.measurements[pages[0], TARGET_CONCURRENCY], run.measurements[pages[-1], TARGET_CONCURRENCY]
    rows = [(name, _format_ratio(last[name], cell)) for name, cell in first.items() if name in last]
    return [f"Requests per second, {pages[-1]} divided by {pages[0]}", *aligned([("server", "ratio"), *rows])]


def format_rate(cell: Measurement | None) -> str:
    """Responses per second, rounded to the significant digits."""
    if cell is None or not cell.rates:
        return "-"
    return f"{cell.median_rate:,.0f}" if cell.median_rate >= 10 else f"{cell.median_rate:.1f}"  # noqa: PLR2004 - significant digits


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines of text: the first column aligned left, the others right."""
    table = list(rows)
    widths = [
        max(len(row[index]) for row in table if index < len(row)) for index in range(max(len(row) for row in table))
    ]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table]


def _row(server: str, cell: Measurement) -> tuple[str, ...]:
    return (
        server,
        f"{cell.median_rate:,.0f}" if cell.median_rate >= 100 else f"{cell.median_rate:.1f}",  # noqa: PLR2004 - significant digits
        f"{cell.latency_ms(0.5):.2f}",
        f"{cell.latency_ms(0.99):.2f}",
        f"{cell.server_cpu_ms:.3f}",
        f"{cell.database_cpu_ms:.3f}",
        "-" if cell.statements is None else f"{cell.statements:.1f}",
        str(cell.failures or ""),
    )


def _format_ratio(measured: Measurement, baseline: Measurement | None) -> str:
    value = ratio(measured, baseline) if baseline else None
    return "-" if value is None else f"{value:.2f}"
