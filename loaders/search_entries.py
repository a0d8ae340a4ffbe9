"""Reads of search entries: texts of the objects that `search` finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Double, Numeric, Text, bindparam, cast, func, or_, select

from graphql_api.auth.visibility import SEARCHABLE_MODELS
from graphql_api.enums import SearchType
from graphql_api.models import Organisation, SearchEntry, Service, Template, User
from loaders.core import AnyOf, CustomFilter, Order, table_page
from loaders.core.filters import like_pattern

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_CURRENT_PREDICATES = {
    SearchType.ORGANISATION: Organisation.active,
    SearchType.SERVICE: Service.active,
    SearchType.TEMPLATE: ~Template.archived & ~Template.hidden,
    SearchType.USER: User.state != "inactive",
}
# An entry may be older than the state of its row.
_entry_is_current = or_(
    *(
        (SearchEntry.kind == kind.value)
        & select(model.id)
        .where(model.id == SearchEntry.row_id, _CURRENT_PREDICATES[kind])
        .correlate(SearchEntry)
        .exists()
        for kind, model in SEARCHABLE_MODELS.items()
    )
)


def _similarity_keys(_descending: bool) -> tuple[ColumnElement[float], ...]:
    similarity = func.similarity(SearchEntry.text, bindparam("query_text", type_=Text()))
    # Rounded to four digits, so that the value in a cursor equals that in the database.
    return cast(cast(similarity, Numeric(5, 4)), Double()), SearchEntry.row_id  # type: ignore[return-value]


by_similarity = Order("similarity", _similarity_keys, descending=True)
entries = table_page(
    SearchEntry,
    by_similarity,
    filters={
        "query": CustomFilter(
            # Entries are stored in lower case: LIKE on them is faster than ILIKE.
            lambda name: SearchEntry.text.like(bindparam(f"{name}_pattern"), escape="\\"),
            lambda query: {"text": query, "pattern": like_pattern(query.lower())},
        ),
        "types": AnyOf(SearchEntry.kind),
    },
    where=_entry_is_current,
    bulk=True,
)
