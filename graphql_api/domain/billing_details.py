"""Billing details: four columns of organisations and services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql_api.domain import checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql_api.errors import Invalid

COLUMN_BY_ARGUMENT = {
    "purchase_order_number": "purchase_order_number",
    "contact_names": "billing_contact_names",
    "contact_email_addresses": "billing_contact_email_addresses",
    "reference": "billing_reference",
}
"""Columns by argument."""

_LIMITED_LENGTH_ARGUMENTS = ("purchase_order_number", "reference")


def billing_columns(details: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values of all four columns; absent details are None."""
    return {column: (details or {}).get(name) for name, column in COLUMN_BY_ARGUMENT.items()}


def validate_details(details: Mapping[str, Any] | None) -> Iterator[Invalid]:
    """Problems of billing details."""
    for name, value in (details or {}).items():
        yield from checks.optional_text(
            value,
            "billing_details",
            name,
            max_characters=checks.MAX_TEXT_CHARACTERS if name in _LIMITED_LENGTH_ARGUMENTS else None,
        )
