"""What a log may hold of a fault: its kind and its place, and nothing that was said in it."""

from __future__ import annotations

import traceback
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parent.parent.parent


def describe_error(error: BaseException) -> dict[str, str]:
    """The kinds of an error and its causes, and where in our code it arose; messages may quote people's data."""
    kinds: list[str] = []
    place = ""
    cause: BaseException | None = error
    while cause is not None and len(kinds) < 5:  # noqa: PLR2004 - enough of any chain
        kinds.append(type(cause).__name__)
        for frame in reversed(traceback.extract_tb(cause.__traceback__)):
            path = Path(frame.filename)
            if not place and path.is_relative_to(REPOSITORY_ROOT) and "site-packages" not in path.parts:
                place = f"{path.relative_to(REPOSITORY_ROOT)}:{frame.lineno} {frame.name}"
        cause = cause.__cause__ or cause.__context__
    return {"error": " < ".join(kinds), "place": place}
