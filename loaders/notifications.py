"""Reads of messages: recent ones, and the history of those whose personal data are erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import bindparam, or_

from graphql_api import statuses
from graphql_api.billing import prices
from graphql_api.enums import NotificationStatus, NotificationStatusGroup
from graphql_api.errors import BadRequest
from graphql_api.models import Job, Notification, NotificationHistory, Service, Template
from graphql_api.recipients import email_addresses, phone_numbers
from loaders.core import (
    AlsoTable,
    AnyOf,
    CustomFilter,
    Equals,
    Filter,
    Order,
    Switch,
    Within,
    batch,
    newest,
    one,
    ordered_by,
    page,
    row,
)
from loaders.core.filters import like_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

MIN_SEARCH_CHARACTERS = 3
"""Length of a search text: a trigram index needs as many characters."""

_PHONE_CHARACTERS = frozenset("0123456789 ()-+\u00a0")


def _matches_search(name: str) -> ColumnElement[bool]:
    """One LIKE per form of the text; a trigram index cannot serve LIKE ANY."""
    forms = [Notification.normalised_to.like(bindparam(f"{name}_{form}")) for form in ("email", "phone", "letter")]
    return or_(*forms, Notification.client_reference.ilike(bindparam(f"{name}_reference")))


def _search_patterns(value: str) -> dict[str, str]:
    """The patterns of the text as each channel stores it; the longest replaces those too short for the index.

    Raises `BadRequest` where all are too short.
    """
    text = value.strip()
    email = email_addresses.normalise(text)
    digits = phone_numbers.normalise(text) if _PHONE_CHARACTERS.issuperset(text) else ""
    letter = "".join(text.split()).lower()
    longest = max(email, digits, letter, key=len)
    if len(longest) < MIN_SEARCH_CHARACTERS:
        raise BadRequest(f"`search` must have at least {MIN_SEARCH_CHARACTERS} characters.")
    forms = {"email": email, "phone": digits, "letter": letter}
    patterns = {
        name: like_pattern(form if len(form) >= MIN_SEARCH_CHARACTERS else longest) for name, form in forms.items()
    }
    return patterns | {"reference": like_pattern(text if len(text) >= MIN_SEARCH_CHARACTERS else longest)}


_LEGACY_STATUSES = {
    NotificationStatus.TECHNICAL_FAILURE.value: [
        NotificationStatus.TECHNICAL_FAILURE.value,
        statuses.LEGACY_FAILED_STATUS,
    ]
}

FILTERS: dict[str, Filter] = {
    "channels": AnyOf(Notification.notification_type),
    "statuses": AnyOf(
        Notification.status,
        {status.value: _LEGACY_STATUSES.get(status.value, [status.value]) for status in NotificationStatus},
    ),
    "status_groups": AnyOf(
        Notification.status, {group.value: statuses.stored_values(group) for group in NotificationStatusGroup}
    ),
    "key_types": AnyOf(Notification.key_type),
    "template_id": Equals(Notification.template_id),
    "job_id": Equals(Notification.job_id),
    "api_key_id": Equals(Notification.api_key_id),
    "created_by_id": Equals(Notification.created_by_id),
    "reference": Equals(Notification.client_reference),
    "search": CustomFilter(_matches_search, _search_patterns),
    "include_jobs": Switch(if_false=Notification.job_id.is_(None)),
    "include_one_off": Switch(if_false=or_(Notification.created_by_id.is_(None), Notification.job_id.is_not(None))),
    "created_at": Within(Notification.created_at),
    "include_erased": AlsoTable(NotificationHistory),
}

_by_created_at = ordered_by(Notification.created_at, Notification.id)
_by_row_number = ordered_by(Notification.job_row_number, Notification.id)


class _OrdersOutsideJobs(dict[str, Order]):
    """Orders of messages of several jobs, without that by row number, which is of one job."""

    def __missing__(self, name: str) -> NoReturn:
        raise BadRequest("JOB_ROW_NUMBER can only be used for the `notifications` of a job.")


_ORDERS = _OrdersOutsideJobs(created_at=_by_created_at)

by_id = row(Notification.id, archive=NotificationHistory)
# Searches are slow, and the history hardly changes.
_BULK_FILTERS = frozenset({"search", "include_erased"})
of_service = page(Service.notifications, newest(Notification), orders=_ORDERS, filters=FILTERS, bulk=_BULK_FILTERS)
of_template = page(Template.notifications, newest(Notification), orders=_ORDERS, filters=FILTERS, bulk=_BULK_FILTERS)
of_job = page(
    Job.notifications,
    _by_row_number,
    orders={"created_at": _by_created_at, "job_row_number": _by_row_number},
    filters=FILTERS,
    bulk=_BULK_FILTERS,
)

service = one(Notification.service)
# A message's template is visible with the message, also in a folder that the caller may not open.
template = one(Notification.template, inherits_visibility=True)
template_version = one(Notification.template_as_sent, inherits_visibility=True)
api_key = one(Notification.api_key)
created_by = one(Notification.created_by)
job = one(Notification.job)


def _cost_key(message: Any) -> tuple[Any, ...]:
    """The columns on which the cost of a message depends, and the key of its rate."""
    rate = prices.rate_key(
        message.notification_type,
        message.created_at,
        sheets=message.billable_units,
        postage=message.postage,
    )
    return message.notification_type, message.status, message.billable_units, message.rate_multiplier, rate


@batch(key=_cost_key)
async def cost(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, prices.MessageCost]:
    """Costs of messages, at the rates of their days."""
    del actor
    rate_keys = list({key[-1] for key in keys})
    rates = prices.rates_by_key(
        (await connection.execute(prices.SELECT_RATES, prices.rate_parameters(rate_keys))).all()
    )
    return {
        (channel, status, units, multiplier, rate): prices.message_cost(channel, status, units, multiplier, rates[rate])
        for channel, status, units, multiplier, rate in keys
    }
