"""The cost of an operation in points: requested before it runs, and reported in the response's extensions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

OBJECTS_PER_POINT = 100
"""Objects of a response per point; weights of fields are in objects too."""
MUTATION_WEIGHT_OBJECTS = 4 * OBJECTS_PER_POINT
"""The default weight of a mutation beside its payload: five points in all."""
SEND_MUTATION_WEIGHT_OBJECTS = 0
"""The weight of a sending mutation: one point a call, since sends have rate limits of their own."""
WEIGHT_METADATA_KEY = "weight"
"""The key in a field's metadata of its weight, in objects."""
_NON_EMPTY_JSON_OBJECT = re.compile(rb'\{"')


def weight(objects: int) -> dict[str, int]:
    """The metadata of a field with a weight: `strawberry.field(metadata=weight(100))`."""
    return {WEIGHT_METADATA_KEY: objects}


@dataclass(frozen=True, slots=True)
class OperationCost:
    """The highest cost of an operation, in objects: a fixed part, and a part for its pages, if all are full.

    `max_response_objects` is the number of objects that the response could hold.
    """

    fixed_objects: int = 0
    paged_objects: int = 0
    max_response_objects: int = 0

    @property
    def requested_points(self) -> int:
        """Points that are reserved before the operation runs."""
        return _points_for(self.fixed_objects + self.paged_objects)

    @property
    def is_refundable(self) -> bool:
        """Whether the actual cost may be lower."""
        return self.requested_points > _points_for(self.fixed_objects)

    def actual_points(self, response_objects: int) -> int:
        """The points of a response with so many objects: the paged part counts in proportion."""
        if response_objects >= self.max_response_objects:
            return self.requested_points
        return _points_for(self.fixed_objects + -(-self.paged_objects * response_objects // self.max_response_objects))


REJECTED_COST = OperationCost()
"""The cost of a refused document."""


def _points_for(objects: int) -> int:
    return max(1, -(-objects // OBJECTS_PER_POINT))


def count_objects(value: object) -> int:
    """Number of objects in response data, without empty ones."""
    count = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            count += bool(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return count


def count_objects_in_json(text: bytes) -> int:
    """The same of response data in JSON; a string that ends in a brace counts as one more."""
    return len(_NON_EMPTY_JSON_OBJECT.findall(text))  # takes half the time of `bytes.count`


def cost_extensions(requested: int, actual: int) -> dict[str, dict[str, int]]:
    """The extensions of a response."""
    return {"cost": {"requested": requested, "actual": actual}}


@lru_cache(maxsize=1_000)
def cost_extensions_json(requested: int, actual: int) -> bytes:
    """The JSON that follows the data of a response without errors."""
    return b',"extensions":{"cost":{"requested":%d,"actual":%d}}}' % (requested, actual)
