"""What an operation costs in points: asked before it runs, and told with its answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

OBJECTS_PER_POINT = 100
"""Objects of an answer that make a point; weights of fields are told in objects too."""
MUTATION_WEIGHT_OBJECTS = 4 * OBJECTS_PER_POINT
"""What a mutation weighs beside its payload, unless it says otherwise where it is declared: five points in all."""
SEND_MUTATION_WEIGHT_OBJECTS = 0
"""What one weighs that sends: a point for a call, as messages have rates of their own which this must not undercut."""
WEIGHT_METADATA_KEY = "weight"
"""Where a field's metadata says what it weighs beside its objects."""
_NON_EMPTY_JSON_OBJECT = re.compile(rb'\{"')


def weight(objects: int) -> dict[str, int]:
    """The metadata of a field that is as dear as so many objects: `strawberry.field(metadata=weight(100))`."""
    return {WEIGHT_METADATA_KEY: objects}


@dataclass(frozen=True, slots=True)
class OperationCost:
    """What one operation costs at most: `fixed` whatever is found, `paged` if every page is full; both in objects.

    `objects` are those that the answer could hold.
    """

    fixed_objects: int = 0
    paged_objects: int = 0
    max_response_objects: int = 0

    @property
    def requested_points(self) -> int:
        """Points that are reserved."""
        return _points_for(self.fixed_objects + self.paged_objects)

    @property
    def is_refundable(self) -> bool:
        """Whether an answer can come cheaper."""
        return self.requested_points > _points_for(self.fixed_objects)

    def actual_points(self, response_objects: int) -> int:
        """Points of an answer with so many objects: pages count for the part of them that was there."""
        if response_objects >= self.max_response_objects:
            return self.requested_points
        return _points_for(self.fixed_objects + -(-self.paged_objects * response_objects // self.max_response_objects))


REJECTED_COST = OperationCost()
"""What it costs to have a document refused."""


def _points_for(objects: int) -> int:
    return max(1, -(-objects // OBJECTS_PER_POINT))


def count_objects(value: object) -> int:
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


def count_objects_in_json(text: bytes) -> int:
    """The same of an answer that is JSON already; a text of it that ends in a brace passes for one more."""
    return len(_NON_EMPTY_JSON_OBJECT.findall(text))  # in half the time of `bytes.count`


def cost_extensions(requested: int, actual: int) -> dict[str, dict[str, int]]:
    """The extensions of an answer."""
    return {"cost": {"requested": requested, "actual": actual}}


@lru_cache(maxsize=1_000)
def cost_extensions_json(requested: int, actual: int) -> bytes:
    """What stands after the data of an answer without errors, as JSON."""
    return b',"extensions":{"cost":{"requested":%d,"actual":%d}}}' % (requested, actual)
