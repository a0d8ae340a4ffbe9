"""How organisations and services are invoiced, which only platform admins see."""

from graphql_api import models
from graphql_api.context import Context
from schema.core import Input, computed, input_type, value_object


@value_object
class BillingDetails:
    """How to send a bill."""

    purchase_order_number: str | None
    """Purchase order to quote."""
    contact_names: str | None
    """Names to send it to."""
    contact_email_addresses: str | None
    """Addresses to send it to."""
    reference: str | None
    """Reference to quote."""


@input_type
class BillingDetailsInput(Input):
    """How to send a bill."""

    purchase_order_number: str | None = None
    """Purchase order to quote."""
    contact_names: str | None = None
    """Names to send it to."""
    contact_email_addresses: str | None = None
    """Addresses to send it to."""
    reference: str | None = None
    """Reference to quote."""


def _billing_details(context: Context, *values: str | None) -> BillingDetails | None:
    if not context.actor.platform_wide:
        return None
    number, names, addresses, reference = values
    return BillingDetails(
        purchase_order_number=number, contact_names=names, contact_email_addresses=addresses, reference=reference
    )


def billing_details_field(model: type[models.Organisation | models.Service]) -> BillingDetails | None:
    """The field of an entity: its four columns; null for whoever is not a platform admin."""
    return computed(  # type: ignore[no-any-return]
        model.purchase_order_number,
        model.billing_contact_names,
        model.billing_contact_email_addresses,
        model.billing_reference,
        via=_billing_details,
        pass_context=True,
    )
