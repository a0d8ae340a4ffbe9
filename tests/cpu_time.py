"""What work costs the processor, as a multiple of a yardstick: how fast the machine is, and how busy, cancels out."""

import gc
import time
from collections.abc import Callable

Work = Callable[[], object]


def yardstick() -> dict[str, int]:
    """Work of the interpreter's most common kind: texts, numbers and a dictionary."""
    return {str(number): number for number in range(20_000)}


_quickest: dict[Work, float] = {}
"""The least seconds that each yardstick has taken so far in this process."""


def ratio(work: Work, *, enough: float, beside: Work = yardstick, tries: int = 20) -> float:
    """The least time of some work, divided by the least of a yardstick; both are measured in turns.

    It stops at the first ratio that is `enough` or less, so that only what seems slow is measured often.
    """
    least = _measure(work)
    if beside in _quickest and least <= enough * _quickest[beside]:
        return least / _quickest[beside]
    unit = float("inf")
    for _ in range(tries):
        unit = min(unit, _measure(beside))
        _quickest[beside] = min(unit, _quickest.get(beside, unit))
        if least <= enough * unit:
            break
        least = min(least, _measure(work))
    return least / unit


def _measure(work: Work) -> float:
    """Seconds of this thread; what other tests have left behind is not collected meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    finally:
        if collecting:
            gc.enable()
