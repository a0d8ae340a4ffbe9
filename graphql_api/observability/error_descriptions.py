"""The part of an exception that a log may hold: its types and its place, without its message."""

from __future__ import annotations

import traceback
from pathlib import Path

MAX_DESCRIBED_EXCEPTIONS = 5
REPOSITORY_ROOT = Path(__file__).resolve().parent.parent.parent


def describe_error(error: BaseException) -> dict[str, str]:
    """`error`: type names of the exception and its causes; `place`: file, line and function of ours that raised it.

    Messages are left out, for they may quote personal data.
    """
    type_names: list[str] = []
    place = ""
    cause: BaseException | None = error
    while cause is not None and len(type_names) < MAX_DESCRIBED_EXCEPTIONS:
        type_names.append(type(cause).__name__)
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            path = Path(frame.filename)
            if not place and path.is_relative_to(REPOSITORY_ROOT) and "site-packages" not in path.parts:
                place = f"{path.relative_to(REPOSITORY_ROOT)}:{frame.lineno} {frame.name}"
        cause = cause.__cause__ or cause.__context__
    return {"error": " < ".join(type_names), "place": place}
