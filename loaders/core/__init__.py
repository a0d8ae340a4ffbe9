"""Declarations of reads, their SQL, and how a request batches them.

Five functions declare every read of a noun (`loaders/<noun>.py`):

    row(Template.id)                  one row by a unique key
    one(Template.service)             the far side of a foreign key; shares the batch of row(Service.id)
    many(Service.features)            a short, bounded list per parent
    page(Service.templates, ...)      a keyset page per parent, both directions, with its total count
    batch(function)                   any other SQL: an async function from keys to a mapping

The files, in reading order:

    declarations    the five functions, and the declarations that they return
    orders          sort keys of pages; filters: their conditions; paging: arguments, cursors and results
    statements      SQL of the declarations
    request         `Loaders`: the batches of one request

Imports no noun, and of the models only what all tables have in common.
"""

from loaders.core.declarations import Batch, Many, One, Page, Row, batch, many, one, page, row, table_page
from loaders.core.filters import AlsoTable, AnyOf, Contains, CustomFilter, Equals, Filter, Switch, Within
from loaders.core.orders import Order, newest, nulls_last, ordered_by
from loaders.core.paging import PageArguments, PageResult, decode_cursor
from loaders.core.request import Loaders
from loaders.core.statements import readable_columns, visible_rows

__all__ = [
    "AlsoTable",
    "AnyOf",
    "Batch",
    "Contains",
    "CustomFilter",
    "Equals",
    "Filter",
    "Loaders",
    "Many",
    "One",
    "Order",
    "Page",
    "PageArguments",
    "PageResult",
    "Row",
    "Switch",
    "Within",
    "batch",
    "decode_cursor",
    "many",
    "newest",
    "nulls_last",
    "one",
    "ordered_by",
    "page",
    "readable_columns",
    "row",
    "table_page",
    "visible_rows",
]
