"""Output of the commands."""

from __future__ import annotations

from typing import TextIO


def echo(line: str, file: TextIO | None = None) -> None:
    """Print a line and flush it, so that a pipe shows it at once."""
    print(line, file=file, flush=True)
