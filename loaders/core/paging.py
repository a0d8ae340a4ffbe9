"""Pages: their arguments, their cursors, and the rows that were read."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import orjson

from graphql_api.errors import BadRequest
from loaders.core.orders import sort_key_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loaders.core.declarations import Page
    from loaders.core.orders import Order

R = TypeVar("R")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100
MAX_CURSOR_CHARACTERS = 2_000
MIN_INT32, MAX_INT32 = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True)
class PageArguments:
    """Arguments of one connection field.

    `filters` holds the conditions that were given, `cursor` the sort keys of the position where the page begins.
    """

    order: Order
    size: int
    backwards: bool = False
    cursor: tuple[Any, ...] | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(
        cls,
        order: Order,
        filters: Mapping[str, Any],
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> PageArguments:
        """Arguments of a connection as Relay names them; `BadRequest` when they contradict one another."""
        if first is not None and last is not None:
            raise BadRequest("`first` and `last` cannot be used together.")
        if after is not None and before is not None:
            raise BadRequest("`after` and `before` cannot be used together.")
        backwards = last is not None or (before is not None and first is None)
        if (backwards and after is not None) or (not backwards and before is not None):
            raise BadRequest("`first` can only be used with `after`, `last` with `before`.")
        size = last if last is not None else first if first is not None else DEFAULT_PAGE_SIZE
        if not 0 <= size <= MAX_PAGE_SIZE:
            raise BadRequest(f"`first` and `last` must be between 0 and {MAX_PAGE_SIZE}.")
        text = before if backwards else after
        cursor = None if text is None else decode_cursor(text, order)
        return cls(order, size, backwards, cursor, filters)

    @property
    def batch_key(self) -> Hashable:
        """The part that pages of one statement share: all but the parent and the cursor's values."""
        return (
            self.order.name,
            self.order.descending,
            self.size,
            self.backwards,
            self.cursor is not None,
            freeze(self.filters),
        )


@dataclass(frozen=True, slots=True)
class PageResult:
    """The rows of a page in the list's order, and whether there are more in the direction of reading."""

    page: Page
    parent_key: Hashable
    arguments: PageArguments
    rows: Sequence[Any]
    has_more: bool

    def cursor(self, row: Any) -> str:
        """The cursor of one of the rows."""
        values = [getattr(row, f"sort_{index}") for index in range(len(self.arguments.order.sort_keys(False)))]
        return encode_cursor(values, self.arguments.order)


def cursor_values(cursor: Sequence[Any] | None) -> dict[str, Any]:
    """Bind values of one cursor: `cursor_0`, `cursor_1` ..., a value each; none without a cursor."""
    return {f"cursor_{index}": value for index, value in enumerate(cursor or ())}


def cursor_arrays(cursors: Sequence[Sequence[Any] | None]) -> dict[str, list[Any]]:
    """Bind values of the cursors of several parents, all of one length: the same names, an array each."""
    depth = len(cursors[0] or ())
    return {f"cursor_{index}": [cursor[index] for cursor in cursors if cursor] for index in range(depth)}


def cut_page(rows: Sequence[R], size: int, *, backwards: bool) -> tuple[Sequence[R], bool]:
    """The rows of a page in the list's order, and whether there are more in the direction of reading.

    `rows` are those that were read: up to `size` and one more, the nearest to the cursor first.
    """
    page_rows = rows[:size]
    return (page_rows[::-1] if backwards else page_rows), len(rows) > size


def encode_cursor(values: Sequence[Any], order: Order) -> str:
    """The opaque text of a position: the order's name and the sort keys."""
    json_values = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(orjson.dumps([order.name, *json_values], default=str)).rstrip(b"=").decode()


def decode_cursor(text: str, order: Order) -> tuple[Any, ...]:
    """The sort keys in a cursor; `BadRequest` for a text that is no cursor of this order."""
    try:
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise ValueError  # noqa: TRY301 - every error of a cursor has the same message
        padded = text + "=" * (-len(text) % 4)
        name, *json_values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != order.name:
            raise ValueError  # noqa: TRY301
        return tuple(
            _parse_sort_value(value, kind) for value, kind in zip(json_values, sort_key_types(order), strict=True)
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRequest("The cursor is not of this list: pass `startCursor` or `endCursor` unchanged.") from error


def _parse_sort_value(value: Any, type_: type) -> Any:
    if type_ is datetime:
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is not None:
            raise ValueError
        return instant
    if type_ is UUID:
        return UUID(value)
    if type(value) is not type_:
        raise ValueError
    if (isinstance(value, str) and "\0" in value) or (isinstance(value, int) and not MIN_INT32 <= value <= MAX_INT32):
        raise ValueError
    return value


def freeze(value: Any) -> Hashable:
    """A hashable copy of a filter's value."""
    if isinstance(value, Mapping):
        return tuple((key, freeze(part)) for key, part in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value)
    hashable: Hashable = value
    return hashable
