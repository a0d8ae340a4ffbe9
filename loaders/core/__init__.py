"""Reading, once and for all: what can be declared, how it becomes SQL, and how a request batches it.

Five words declare every read of a noun (`loaders/<noun>.py`); none of them knows a noun:

    row(Template.id)                  one row by a unique key
    one(Template.service)             the far side of a foreign key; shares the batch of row(Service.id)
    many(Service.features)            a short, bounded list per parent
    page(Service.templates, ...)      a keyset page per parent, both directions; its count and its probe come with it
    batch(function)                   SQL that is none of these: keys in, a mapping out
"""

from loaders.core.declarations import Batch, Many, One, Page, Row, batch, many, one, page, pages, row
from loaders.core.filters import Also, AnyOf, Contains, Equals, Filter, Shown, Switch, Within
from loaders.core.orders import Order, by, last_if_null, newest
from loaders.core.paging import Arguments, Slice, read_cursor
from loaders.core.request import Loaders
from loaders.core.statements import readable

__all__ = [
    "Also",
    "AnyOf",
    "Arguments",
    "Batch",
    "Contains",
    "Equals",
    "Filter",
    "Loaders",
    "Many",
    "One",
    "Order",
    "Page",
    "Row",
    "Shown",
    "Slice",
    "Switch",
    "Within",
    "batch",
    "by",
    "last_if_null",
    "many",
    "newest",
    "one",
    "page",
    "pages",
    "read_cursor",
    "readable",
    "row",
]
