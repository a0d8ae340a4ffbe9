"""Reads of what can be searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Double, Numeric, Text, bindparam, cast, func, or_, select

from graphql_api.auth.visibility import SEARCHED
from graphql_api.enums import SearchType
from graphql_api.models import Organisation, SearchEntry, Service, Template, User
from loaders.core import AnyOf, Order, Shown, pages
from loaders.core.filters import like

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_CURRENT = {
    SearchType.ORGANISATION: Organisation.active,
    SearchType.SERVICE: Service.active,
    SearchType.TEMPLATE: ~Template.archived & ~Template.hidden,
    SearchType.USER: User.state != "inactive",
}
# An entry may be older than what has become of its row since.
_still_there = or_(
    *(
        (SearchEntry.kind == kind.value)
        & select(model.id).where(model.id == SearchEntry.row_id, _CURRENT[kind]).correlate(SearchEntry).exists()
        for kind, model in SEARCHED.items()
    )
)


def _keys(_descending: bool) -> tuple[ColumnElement[float], ...]:
    alike = func.similarity(SearchEntry.text, bindparam("query_text", type_=Text()))
    # As it is told: four digits, which a cursor brings back as they were.
    return cast(cast(alike, Numeric(5, 4)), Double()), SearchEntry.row_id  # type: ignore[return-value]


most_alike = Order("similarity", _keys, descending=True)
entries = pages(
    SearchEntry,
    most_alike,
    filters={
        "query": Shown(
            # The entries are in lower case: made so for each search, they would be slower to look through.
            lambda name: SearchEntry.text.like(bindparam(f"{name}_pattern"), escape="\\"),
            lambda query: {"text": query, "pattern": like(query.lower())},
        ),
        "types": AnyOf(SearchEntry.kind),
    },
    where=_still_there,
    bulk=True,
)
