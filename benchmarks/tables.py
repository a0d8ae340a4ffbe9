"""The figures of a run, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measurements import ratio
from benchmarks.scenarios import TARGET_SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.measurements import Measurement
    from benchmarks.runs import Run

TARGET_CONCURRENCY = 16
"""The concurrency that is compared."""
COLUMNS = ("server", "req/s", "median ms", "p99 ms", "CPU ms", "+ database", "SQL", "failed")


def table(run: Run) -> str:
    """Everything, question by question."""
    titles = {question.name: question.title for question in run.scenarios}
    lines: list[str] = []
    for (name, concurrency), cells in run.measurements.items():
        lines += ["", f"{titles[name]}, {run.field_counts[name]:,} fields, concurrency {concurrency}"]
        lines += aligned([COLUMNS, *(_row(server, cell) for server, cell in cells.items() if cell.rates)])
        lines += [f"  {server}: {cell.note}" for server, cell in cells.items() if cell.note]
    for part in (ratio_lines(run), growth_lines(run), depth_lines(run)):
        lines += ["", *part] if part else []
    lines += ["", "Memory in the end"]
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
    """The questions whose figures are the targets, for the README."""
    names = [server.kind.name for server in run.servers]
    kinds = {server.kind.name: server.kind.title for server in run.servers}
    found = target_measurements(run)
    heads = [question.title for question in run.scenarios if question.name in found]
    if not found:
        return ""
    lines = ["| requests a second | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name in names:
        cells = " | ".join(format_rate(found[one].get(name)) for one in found)
        lines.append(f"| {kinds[name]} | {cells} |")
    return "\n".join(lines)


def target_measurements(run: Run) -> dict[str, dict[str, Measurement]]:
    """Of the questions whose figures are the targets, those that were asked."""
    return {
        name: run.measurements[name, TARGET_CONCURRENCY]
        for name in TARGET_SCENARIOS
        if (name, TARGET_CONCURRENCY) in run.measurements
    }


def ratio_lines(run: Run) -> list[str]:
    """Ours beside the others, turn by turn."""
    rows: list[Sequence[str]] = [("question", "at", "/ PostGraphile", "/ by hand", "/ graphql-core")]
    for (name, concurrency), cells in run.measurements.items():
        ours = cells.get("planned") or cells.get("core")
        if ours and ours.rates:
            others = (cells.get(other) for other in ("postgraphile", "handwritten", "core"))
            rows.append((name, str(concurrency), *(_format_ratio(ours, other) for other in others)))
    return ["Ours, requests a second, beside the others", *aligned(rows)]


def growth_lines(run: Run) -> list[str]:
    """Processor time a node, as answers grow."""
    found = [
        (question.nodes, question.name) for question in run.scenarios if question.name.startswith(("growth", "list"))
    ]
    if len(found) < 2:  # noqa: PLR2004 - one and another
        return []
    cells = [(nodes, run.measurements.get((name, TARGET_CONCURRENCY), {})) for nodes, name in sorted(found)]
    heads = ("server", *(f"{nodes:,} nodes" for nodes, _ in cells))
    rows = [
        (
            server.kind.name,
            *(
                f"{1_000 * (one.server_cpu_ms + one.database_cpu_ms) / nodes:.1f}" if one and one.rates else "-"
                for nodes, one in ((nodes, each.get(server.kind.name)) for nodes, each in cells)
            ),
        )
        for server in run.servers
    ]
    return ["Processor time of server and database, microseconds a node", *aligned([heads, *rows])]


def depth_lines(run: Run) -> list[str]:
    """How much slower the deepest page is than the first."""
    pages = [name for name, _ in run.measurements if name.startswith("page-")]
    if len(pages) < 2:  # noqa: PLR2004 - a first and a last
        return []
    first, last = run.measurements[pages[0], TARGET_CONCURRENCY], run.measurements[pages[-1], TARGET_CONCURRENCY]
    rows = [(name, _format_ratio(last[name], cell)) for name, cell in first.items() if name in last]
    return [f"Requests a second, {pages[-1]} beside {pages[0]}", *aligned([("server", "ratio"), *rows])]


def format_rate(cell: Measurement | None) -> str:
    """Answers a second, with as many figures as mean something."""
    if cell is None or not cell.rates:
        return "-"
    return f"{cell.median_rate:,.0f}" if cell.median_rate >= 10 else f"{cell.median_rate:.1f}"  # noqa: PLR2004 - enough figures


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of text as lines: the first column to the left, figures to the right."""
    table = list(rows)
    widths = [max(len(row[at]) for row in table if at < len(row)) for at in range(max(len(row) for row in table))]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in table]


def _row(server: str, cell: Measurement) -> tuple[str, ...]:
    return (
        server,
        f"{cell.median_rate:,.0f}" if cell.median_rate >= 100 else f"{cell.median_rate:.1f}",  # noqa: PLR2004 - enough figures
        f"{cell.latency_ms(0.5):.2f}",
        f"{cell.latency_ms(0.99):.2f}",
        f"{cell.server_cpu_ms:.3f}",
        f"{cell.database_cpu_ms:.3f}",
        "-" if cell.statements is None else f"{cell.statements:.1f}",
        str(cell.failures or ""),
    )


def _format_ratio(one: Measurement, other: Measurement | None) -> str:
    found = ratio(one, other) if other else None
    return "-" if found is None else f"{found:.2f}"
