"""A progress bar for a seed run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ProgressCallback = Callable[[str, int, int], None]
"""Takes the name of the current stage, the number of messages written, and their total."""


@contextmanager
def progress_bar() -> Iterator[ProgressCallback | None]:
    """Show progress on the terminal; yields None when standard error is not a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as display:
        task = display.add_task("demo data")

        def update(stage: str, written: int, total: int) -> None:
            display.update(task, description=stage, completed=written, total=total)

        yield update
