"""Arguments that many fields take, with their descriptions: those of connections as Relay names them, and ids."""

from typing import Annotated, TypeAlias

import strawberry

First: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="Size of a page read forwards, 0 to 100; 50 without `first` and `last`."),
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Cursor after which the page begins; goes with `first`.")
]
Last: TypeAlias = Annotated[
    int | None, strawberry.argument(description="Size of a page read backwards from the end of the list, 0 to 100.")
]
Before: TypeAlias = Annotated[
    str | None, strawberry.argument(description="Cursor before which the page ends; goes with `last`.")
]
Id: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="UUID of the object.")]
FinancialYear: TypeAlias = Annotated[
    int | None,
    strawberry.argument(description="Calendar year in which the financial year starts; the current one when left out."),
]

PAGINATION_ARGUMENTS = {"first": First, "after": After, "last": Last, "before": Before}
FILTER_DESCRIPTION = "Conditions; every one given must hold."
ORDER_DESCRIPTION = "Order of the list."
INPUT_DESCRIPTION = "The mutation's arguments."
