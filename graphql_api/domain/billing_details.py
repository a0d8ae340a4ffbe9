"""Billing details: the four columns by which an organisation or a service is invoiced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql_api.domain import checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql_api.errors import Invalid

COLUMNS = {
    "purchase_order_number": "purchase_order_number",
    "contact_names": "billing_contact_names",
    "contact_email_addresses": "billing_contact_email_addresses",
    "reference": "billing_reference",
}
"""Columns by the names of the arguments."""

_SHORT = ("purchase_order_number", "reference")


def details_of(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every column: details are replaced whole."""
    return {column: (given or {}).get(name) for name, column in COLUMNS.items()}


def wrong_details(given: Mapping[str, Any] | None) -> Iterator[Invalid]:
    """What is wrong with them."""
    for name, value in (given or {}).items():
        yield from checks.text(value, "billing_details", name, longest=checks.LONGEST if name in _SHORT else None)
