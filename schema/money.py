"""Sums of money, exact."""

from decimal import Decimal
from typing import Self

from schema.core import value_object

GBP = "GBP"


@value_object
class Money:
    """An amount of money, without VAT."""

    amount: Decimal
    """Exact amount in major units; text message rates need four decimal places."""
    currency: str
    """ISO 4217 code; GBP."""

    @classmethod
    def of(cls, amount: Decimal | None) -> Self | None:
        """A sum in pounds; None where there is none."""
        return None if amount is None else cls(amount=amount, currency=GBP)
