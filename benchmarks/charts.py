"""The picture of a run, for the README: bars for each question, readable on light, on dark, and aloud."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from benchmarks.tables import MAIN, figure, of_the_four

if TYPE_CHECKING:
    from benchmarks.runs import Run

WIDTH, MARGIN, GAP = 840, 20, 40
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
LABEL, VALUE = 124, 58
"""Width of what stands left of a bar, and right of it."""
HEAD, ROW, BAR = 62, 26, 16
"""Height of the title, of a row, and of the bar in it."""

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .question { font-weight: 600 }
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
    """The picture, as SVG: requests a second for the questions that count."""
    titles = {question.name: question.title for question in run.questions}
    shown = of_the_four(run)
    panel_height = 30 + ROW * len(run.servers)
    height = round(HEAD + (len(shown) + 1) // 2 * (panel_height + 16) + 34)
    parts: list[str] = []
    told: list[str] = []
    for number, name in enumerate(shown):
        left = MARGIN + number % 2 * (PANEL + GAP)
        top = HEAD + number // 2 * (panel_height + 16)
        rates = {server.kind.title: shown[name][server.kind.name] for server in run.servers}
        measured = {title: cell for title, cell in rates.items() if cell.rates}
        most = max(cell.rate for cell in measured.values())
        parts.append(_text(left, top + 14, f"{titles[name]}, {run.fields[name]:,} fields", "question"))
        for row, (title, cell) in enumerate(measured.items()):
            parts += _bar(left, top + 30 + ROW * row, title, figure(cell), cell.rate / most, first=row == 0)
        told.append(
            f"{titles[name]}: " + ", ".join(f"{title} {figure(cell)}" for title, cell in measured.items()) + "."
        )
    head = "Requests a second, on one core each"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"',
            f'  width="{WIDTH}" height="{height}" aria-labelledby="title description">',
            f'<title id="title">{head}</title>',
            f'<desc id="description">{escape(" ".join(told))}</desc>',
            f"<style>{STYLE}</style>",
            _text(MARGIN, 26, head, "title"),
            _text(MARGIN, 46, f"{MAIN} connections; more is better", "small"),
            *parts,
            _text(MARGIN, height - 14, f"{machine}. Measured with ./run bench", "small"),
            "</svg>",
            "",
        ]
    )


def _bar(left: float, top: float, title: str, value: str, share: float, *, first: bool) -> list[str]:
    """A row: who, the bar, and the figure."""
    kind = "first" if first else ""
    middle, width = top + ROW / 2, max(1.0, (PANEL - LABEL - VALUE) * share)
    place = f'x="{left + LABEL:.1f}" y="{middle - BAR / 2:.1f}" width="{width:.1f}" height="{BAR}"'
    return [
        _text(left + LABEL - 8, middle + 4, title, kind, anchor="end"),
        f'<rect class="{f"bar {kind}".strip()}" {place} rx="2"/>',
        _text(left + LABEL + width + 6, middle + 4, value, kind),
    ]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    marks = f' class="{kind}"' if kind else ""
    turned = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text{marks} x="{x:.1f}" y="{y:.1f}"{turned}>{escape(text)}</text>'
