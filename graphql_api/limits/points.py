"""What an operation costs in points: asked before it runs, and told with its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

OBJECTS = 100
"""Objects of an answer that make a point; weights of fields are told in objects too."""
MUTATION = 4 * OBJECTS
"""What a mutation weighs beside its payload, unless it says otherwise where it is declared: five points in all."""
SENDING = 0
"""What one weighs that sends: a point for a call, as messages have rates of their own which this must not undercut."""
WEIGHT = "weight"
"""Where a field's metadata says what it weighs beside its objects."""
_OBJECT = re.compile(rb'\{"')


def weight(objects: int) -> dict[str, int]:
    """The metadata of a field that is as dear as so many objects: `strawberry.field(metadata=weight(100))`."""
    return {WEIGHT: objects}


@dataclass(frozen=True, slots=True)
class Price:
    """What one operation costs at most: `fixed` whatever is found, `paged` if every page is full; both in objects.

    `objects` are those that the answer could hold.
    """

    fixed: int = 0
    paged: int = 0
    objects: int = 0

    @property
    def requested(self) -> int:
        """Points that are reserved."""
        return _points(self.fixed + self.paged)

    @property
    def refundable(self) -> bool:
        """Whether an answer can come cheaper."""
        return self.requested > _points(self.fixed)

    def actual(self, answered: int) -> int:
        """Points of an answer with so many objects: pages count for the part of them that was there."""
        if answered >= self.objects:
            return self.requested
        return _points(self.fixed + -(-self.paged * answered // self.objects))


REFUSED = Price()
"""What it costs to have a document refused."""


def _points(objects: int) -> int:
    return max(1, -(-objects // OBJECTS))


def objects_of(value: object) -> int:
    """Objects of an answer, those without fields aside."""
    found = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found += bool(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return found


def objects_in(text: bytes) -> int:
    """The same of an answer that is JSON already; a text of it that ends in a brace passes for one more."""
    return len(_OBJECT.findall(text))  # in half the time of `bytes.count`


def told(requested: int, actual: int) -> dict[str, dict[str, int]]:
    """The extensions of an answer."""
    return {"cost": {"requested": requested, "actual": actual}}


@lru_cache(maxsize=1_000)
def ending(requested: int, actual: int) -> bytes:
    """What stands after the data of an answer without errors, as JSON."""
    return b',"extensions":{"cost":{"requested":%d,"actual":%d}}}' % (requested, actual)
