"""The chart of a run, for the README: an SVG with bars per scenario, for light and dark themes and screen readers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.tables import TARGET_CONCURRENCY, format_rate, target_measurements

if TYPE_CHECKING:
    from benchmarks.runs import Run

WIDTH, MARGIN, GAP = 840, 20, 40
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) / 2
LABEL_WIDTH, VALUE_WIDTH = 124, 58
"""Width of the label left of a bar, and of the value right of it."""
TITLE_HEIGHT, ROW_HEIGHT, BAR_HEIGHT = 62, 26, 16
"""Height of the title, of a row, and of the bar in a row."""

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .scenario { font-weight: 600 }
  .small { font-size: 12px; fill: #59636e }
  .first { font-weight: 600 }
  .bar { fill: #8c959f }
  .bar.first { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .bar.first { fill: #4493f8 }
  }
"""


def draw(run: Run, machine: str) -> str:
    """The chart as SVG: requests per second of the target scenarios."""
    titles = {scenario.name: scenario.title for scenario in run.scenarios}
    shown = target_measurements(run)
    panel_height = 30 + ROW_HEIGHT * len(run.servers)
    height = round(TITLE_HEIGHT + (len(shown) + 1) // 2 * (panel_height + 16) + 34)
    parts: list[str] = []
    sentences: list[str] = []
    for number, name in enumerate(shown):
        left = MARGIN + number % 2 * (PANEL_WIDTH + GAP)
        top = TITLE_HEIGHT + number // 2 * (panel_height + 16)
        rates = {server.kind.title: shown[name][server.kind.name] for server in run.servers}
        measured = {title: cell for title, cell in rates.items() if cell.rates}
        highest = max(cell.median_rate for cell in measured.values())
        parts.append(_text(left, top + 14, f"{titles[name]}, {run.field_counts[name]:,} fields", "scenario"))
        for row, (title, cell) in enumerate(measured.items()):
            parts += _bar(
                left, top + 30 + ROW_HEIGHT * row, title, format_rate(cell), cell.median_rate / highest, first=row == 0
            )
        sentences.append(
            f"{titles[name]}: " + ", ".join(f"{title} {format_rate(cell)}" for title, cell in measured.items()) + "."
        )
    head = "Requests per second, on one core each"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
            f'  width="{WIDTH}" height="{height}" aria-labelledby="title description">',
            f'<title id="title">{head}</title>',
            f'<desc id="description">{escape(" ".join(sentences))}</desc>',
            f"<style>{STYLE}</style>",
            _text(MARGIN, 26, head, "title"),
            _text(MARGIN, 46, f"{TARGET_CONCURRENCY} connections; more is better", "small"),
            *parts,
            _text(MARGIN, height - 14, f"{machine}. Measured with ./run bench", "small"),
            "</svg>",
            "",
        ]
    )


def _bar(left: float, top: float, title: str, value: str, share: float, *, first: bool) -> list[str]:
    """A row: server, bar and value."""
    kind = "first" if first else ""
    middle, width = top + ROW_HEIGHT / 2, max(1.0, (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) * share)
    geometry = (
        f'x="{left + LABEL_WIDTH:.1f}" y="{middle - BAR_HEIGHT / 2:.1f}" width="{width:.1f}" height="{BAR_HEIGHT}"'
    )
    return [
        _text(left + LABEL_WIDTH - 8, middle + 4, title, kind, anchor="end"),
        f'<rect class="{f"bar {kind}".strip()}" {geometry} rx="2"/>',
        _text(left + LABEL_WIDTH + width + 6, middle + 4, value, kind),
    ]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    class_ = f' class="{kind}"' if kind else ""
    anchor_ = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text{class_} x="{x:.1f}" y="{y:.1f}"{anchor_}>{escape(text)}</text>'
