"""Amounts of money, exact."""

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
    """ISO 4217 code; always GBP."""

    @classmethod
    def pounds(cls, amount: Decimal) -> Self:
        """An amount in pounds."""
        return cls(amount=amount, currency=GBP)

    @classmethod
    def pounds_or_none(cls, amount: Decimal | None) -> Self | None:
        """An amount in pounds; None for None."""
        return None if amount is None else cls.pounds(amount)
