"""The processor's time that work takes, beside a yardstick: a busy machine slows both."""

import time
from collections.abc import Callable

_YARD = 0.0028
"""Seconds that the yardstick takes on the quiet machine where the bounds were set."""


def seconds(work: Callable[[], object], enough: float, tries: int = 12) -> float:
    """The least of `tries`; it stops at the first that is no more than `enough`."""
    best = float("inf")
    for _ in range(tries):
        took = _measured(work)
        if took > enough:
            took *= min(1.0, _YARD / min(_measured(_yardstick) for _ in range(2)))
        best = min(best, took)
        if best <= enough:
            break
    return best


def _measured(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _yardstick() -> dict[str, int]:
    return {str(number): number for number in range(20_000)}
