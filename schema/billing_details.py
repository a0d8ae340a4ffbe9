"""Details for invoices of organisations and services; only platform admins see them."""

from graphql_api import models
from graphql_api.context import Context
from schema.core import Input, computed, input_type, value_object


@value_object
class BillingDetails:
    """Details for invoices."""

    purchase_order_number: str | None
    """Purchase order number on the invoice."""
    contact_names: str | None
    """Names of the recipients of the invoice."""
    contact_email_addresses: str | None
    """Email addresses of the recipients of the invoice."""
    reference: str | None
    """Reference on the invoice."""


@input_type
class BillingDetailsInput(Input):
    """Details for invoices."""

    purchase_order_number: str | None = None
    """Purchase order number on the invoice."""
    contact_names: str | None = None
    """Names of the recipients of the invoice."""
    contact_email_addresses: str | None = None
    """Email addresses of the recipients of the invoice."""
    reference: str | None = None
    """Reference on the invoice."""


def _billing_details(context: Context, *values: str | None) -> BillingDetails | None:
    if not context.actor.platform_wide:
        return None
    number, names, addresses, reference = values
    return BillingDetails(
        purchase_order_number=number, contact_names=names, contact_email_addresses=addresses, reference=reference
    )


def billing_details_field(model: type[models.Organisation | models.Service]) -> BillingDetails | None:
    """The field of an entity, from its four billing columns; null except to platform admins."""
    return computed(  # type: ignore[no-any-return]
        model.purchase_order_number,
        model.billing_contact_names,
        model.billing_contact_email_addresses,
        model.billing_reference,
        via=_billing_details,
        pass_context=True,
    )
