"""Reads of messages: those of the last days, and of those before what is left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy import bindparam, or_

from graphql_api import statuses
from graphql_api.billing import prices
from graphql_api.enums import NotificationStatus, NotificationStatusGroup
from graphql_api.errors import BadRequest
from graphql_api.models import Job, Notification, NotificationHistory, Service, Template
from graphql_api.recipients import email_addresses, phone_numbers
from loaders.core import Also, AnyOf, Equals, Filter, Order, Shown, Switch, Within, batch, by, newest, one, page, row
from loaders.core.filters import like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

SHORTEST_SEARCH = 3
"""Characters: a trigram index needs as many."""

_PHONE_CHARACTERS = frozenset("0123456789 ()-+\u00a0")


def _found(name: str) -> ColumnElement[bool]:
    """One LIKE per form, for an index of trigrams cannot serve LIKE ANY."""
    forms = [Notification.normalised_to.like(bindparam(f"{name}_{form}")) for form in ("email", "phone", "letter")]
    return or_(*forms, Notification.client_reference.ilike(bindparam(f"{name}_reference")))


def _forms(value: str) -> dict[str, str]:
    """What is searched for, as it is stored of each channel; a form too short for the index stands aside."""
    text = value.strip()
    email = email_addresses.normalise(text)
    digits = phone_numbers.normalise(text) if _PHONE_CHARACTERS.issuperset(text) else ""
    letter = "".join(text.split()).lower()
    longest = max(email, digits, letter, key=len)
    if len(longest) < SHORTEST_SEARCH:
        raise BadRequest(f"Give {SHORTEST_SEARCH} characters or more to look for.")
    forms = {"email": email, "phone": digits, "letter": letter}
    patterns = {name: like(form if len(form) >= SHORTEST_SEARCH else longest) for name, form in forms.items()}
    return patterns | {"reference": like(text if len(text) >= SHORTEST_SEARCH else longest)}


_OLD = {NotificationStatus.TECHNICAL_FAILURE.value: [NotificationStatus.TECHNICAL_FAILURE.value, statuses.OLD_FAILURE]}

FILTERS: dict[str, Filter] = {
    "channels": AnyOf(Notification.notification_type),
    "statuses": AnyOf(
        Notification.status, {status.value: _OLD.get(status.value, [status.value]) for status in NotificationStatus}
    ),
    "status_groups": AnyOf(
        Notification.status, {group.value: statuses.stored_in(group) for group in NotificationStatusGroup}
    ),
    "key_types": AnyOf(Notification.key_type),
    "template_id": Equals(Notification.template_id),
    "job_id": Equals(Notification.job_id),
    "api_key_id": Equals(Notification.api_key_id),
    "created_by_id": Equals(Notification.created_by_id),
    "reference": Equals(Notification.client_reference),
    "search": Shown(_found, _forms),
    "include_jobs": Switch(no=Notification.job_id.is_(None)),
    "include_one_off": Switch(no=or_(Notification.created_by_id.is_(None), Notification.job_id.is_not(None))),
    "created_at": Within(Notification.created_at),
    "include_erased": Also(NotificationHistory),
}

_by_time = by(Notification.created_at, Notification.id)
_by_row = by(Notification.job_row_number, Notification.id)


class _OutsideOfJobs(dict[str, Order]):
    """Orders of messages that need not come from one job: rows of a list are no order of them."""

    def __missing__(self, name: str) -> NoReturn:
        raise BadRequest("JOB_ROW_NUMBER is an order of one job's messages: ask for `notifications` of the job.")


_ORDERS = _OutsideOfJobs(created_at=_by_time)

by_id = row(Notification.id, archive=NotificationHistory)
# Searching takes a while, and what was erased of old messages does not change.
_LONG = frozenset({"search", "include_erased"})
of_service = page(Service.notifications, newest(Notification), orders=_ORDERS, filters=FILTERS, bulk=_LONG)
of_template = page(Template.notifications, newest(Notification), orders=_ORDERS, filters=FILTERS, bulk=_LONG)
of_job = page(
    Job.notifications,
    _by_row,
    orders={"created_at": _by_time, "job_row_number": _by_row},
    filters=FILTERS,
    bulk=_LONG,
)

service = one(Notification.service)
# Whoever sees a message sees what it says, though its template may lie in a folder that is closed to them.
template = one(Notification.template, implied=True)
template_version = one(Notification.template_as_sent, implied=True)
api_key = one(Notification.api_key)
created_by = one(Notification.created_by)
job = one(Notification.job)


def _priced(message: Any) -> tuple[Any, ...]:
    """What the cost of a message depends on."""
    rate = prices.wanted(
        message.notification_type,
        message.created_at,
        sheets=message.billable_units,
        postage=message.postage,
    )
    return message.notification_type, message.status, message.billable_units, message.rate_multiplier, rate


@batch(key=_priced)
async def cost(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, prices.Cost]:
    """Costs of messages, at the rate of their days."""
    del actor
    wanted = list({key[-1] for key in keys})
    rates = prices.found((await connection.execute(prices.RATES, prices.bound(wanted))).all())
    return {
        (channel, status, units, multiplier, rate): prices.cost(channel, status, units, multiplier, rates[rate])
        for channel, status, units, multiplier, rate in keys
    }
