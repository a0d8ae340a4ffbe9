"""Pages: what the caller asked for, the cursor that names a place, and the slice that comes back."""

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
    """What one connection field was asked for.

    `filters` holds the conditions that were given, `cursor` the sort keys of the place to go on from.
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
        """Arguments of a connection as Relay names them; `BadRequest` when they make no sense."""
        if first is not None and last is not None:
            raise BadRequest("Give `first` or `last`, not both.")
        if after is not None and before is not None:
            raise BadRequest("Give `after` or `before`, not both.")
        backwards = last is not None or (before is not None and first is None)
        if (backwards and after is not None) or (not backwards and before is not None):
            raise BadRequest("`first` goes with `after`, `last` with `before`.")
        size = last if last is not None else first if first is not None else DEFAULT_PAGE_SIZE
        if not 0 <= size <= MAX_PAGE_SIZE:
            raise BadRequest(f"`first` and `last` take 0 to {MAX_PAGE_SIZE}.")
        text = before if backwards else after
        cursor = None if text is None else decode_cursor(text, order)
        return cls(order, size, backwards, cursor, filters)

    @property
    def batch_key(self) -> Hashable:
        """What the pages of one statement share: everything but the parent and the place."""
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
    """A page that was read: its rows in the caller's order, and whether there are more in the direction of travel."""

    page: Page
    parent_key: Hashable
    arguments: PageArguments
    rows: Sequence[Any]
    has_more: bool

    def cursor(self, row: Any) -> str:
        """The opaque place of one of the rows."""
        values = [getattr(row, f"sort_{index}") for index in range(len(self.arguments.order.sort_keys(False)))]
        return encode_cursor(values, self.arguments.order)


def page_rows(rows: Sequence[R], size: int, *, backwards: bool) -> Sequence[R]:
    """The rows of a page in the order of its list, from rows nearest to the cursor first, of which one may be extra."""
    page = rows[:size]
    return page[::-1] if backwards else page


def cursor_values(cursor: tuple[Any, ...] | None) -> dict[str, Any]:
    """Bind values of one cursor, by the names of `statements`."""
    return {f"cursor_{index}": value for index, value in enumerate(cursor or ())}


def cursor_arrays(parents: Sequence[tuple[Any, tuple[Any, ...] | None]]) -> dict[str, Any]:
    """Bind values of parents, each a key and a cursor, as arrays of equal length; all have a cursor, or none has."""
    depth = len(parents[0][1] or ())
    arrays = {f"cursor_{index}": [(cursor or ())[index] for _, cursor in parents] for index in range(depth)}
    return {"key_0": [key for key, _ in parents], **arrays}


def encode_cursor(values: Sequence[Any], order: Order) -> str:
    """Sort keys as opaque text."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(orjson.dumps([order.name, *plain], default=str)).rstrip(b"=").decode()


def decode_cursor(text: str, order: Order) -> tuple[Any, ...]:
    """Sort keys of an opaque text; `BadRequest` for one that this order did not make."""
    try:
        if len(text) > MAX_CURSOR_CHARACTERS:
            raise ValueError  # noqa: TRY301 - every fault of a cursor ends in the same refusal
        padded = text + "=" * (-len(text) % 4)
        name, *plain = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != order.name:
            raise ValueError  # noqa: TRY301
        return tuple(_parse_sort_value(value, kind) for value, kind in zip(plain, sort_key_types(order), strict=True))
    except (ValueError, TypeError, AttributeError) as fault:
        raise BadRequest(
            "The cursor is none of this list's: pass `startCursor` or `endCursor` on unchanged."
        ) from fault


def _parse_sort_value(value: Any, type_: type) -> Any:
    if type_ is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            raise ValueError
        return moment
    if type_ is UUID:
        return UUID(value)
    if type(value) is not type_:
        raise ValueError
    if (isinstance(value, str) and "\0" in value) or (isinstance(value, int) and not MIN_INT32 <= value <= MAX_INT32):
        raise ValueError
    return value


def freeze(value: Any) -> Hashable:
    """A hashable twin of a filter's value."""
    if isinstance(value, Mapping):
        return tuple((key, freeze(one)) for key, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        return tuple(freeze(one) for one in value)
    hashable: Hashable = value
    return hashable
