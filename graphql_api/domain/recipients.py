"""Checking a list of recipients against one template: everything that makes a job refuse it, and what it would cost.

No connection is held while a long list is read: `prepare` needs a transaction, `examine` none. That is why `check`
takes the way to open transactions, and not one of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api import models
from graphql_api.billing import london_days, prices
from graphql_api.domain import recipient_sources, sending_limits, sends
from graphql_api.enums import Channel, JobStatus, Postage, UserErrorCode
from graphql_api.errors import DomainError, Invalid
from graphql_api.recipients import lists
from graphql_api.recipients.lists import RowProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from graphql_api.auth.actors import Actor
    from graphql_api.content.messages import Rendered
    from graphql_api.domain.recipient_sources import Source
    from graphql_api.domain.sends import Prepared
    from graphql_api.gateways.object_store import Store
    from graphql_api.recipients.lists import RecipientList, Row

Transaction = Callable[[], AbstractAsyncContextManager[AsyncSession]]

SHOWN_ROWS = 10
SHOWN_ROWS_WITH_ERRORS = 20
_SHEETS = 1
"""Pages are made elsewhere: until then a letter counts as one sheet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a check needs to know besides the list."""

    prepared: Prepared
    source: Source
    sms_rate: Decimal | None
    letter_rates: Mapping[str, Decimal]
    "By postage, for one sheet."
    already_sent: UUID | None
    "A job of today (London) with the same file name, template and version."


@dataclass(slots=True)
class RecipientCheck:
    """What a list of recipients looks like against one template.

    Without what was `prepared`, it tells why the list was not even read.
    """

    prepared: Prepared | None = None
    problems: list[DomainError] = field(default_factory=list)
    "What is wrong with the list as a whole."
    columns: list[str] = field(default_factory=list)
    recipient_columns: list[str] = field(default_factory=list)
    unused_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    row_count: int = 0
    rows_with_errors_count: int = 0
    row_errors: list[RowProblem] = field(default_factory=list)
    sample: list[Row] = field(default_factory=list)
    international_count: int = 0
    duplicate_recipient_count: int = 0
    total_units: int = 0
    estimated_cost: Decimal = Decimal(0)
    remaining_today: int = 0
    already_sent: UUID | None = None
    refused_rows: list[int] = field(default_factory=list)
    "Rows that only who may be sent to refuses, which the list alone does not tell."

    @property
    def valid(self) -> bool:
        """Whether a job made from the list would be accepted."""
        return not self.problems and not self.rows_with_errors_count

    def render(self, row: Row) -> Rendered:
        """A row of the sample as it would be sent."""
        if self.prepared is None:
            raise ValueError("A list that was not read has no rows.")
        return self.prepared.content.render(row.personalisation)


async def check(
    transaction: Transaction,
    actor: Actor,
    store: Store,
    *,
    template_id: UUID,
    source: Mapping[str, Any],
    service_id: UUID | None = None,
) -> RecipientCheck:
    """Check a list as a job would be checked, and send nothing."""
    async with transaction() as tx:
        plan = await prepare(tx, actor, service_id=service_id, template_id=template_id, source=source)
    return await examine(plan, await plan.source.read(store))


async def prepare(
    tx: AsyncSession, actor: Actor, *, template_id: UUID, source: Mapping[str, Any], service_id: UUID | None = None
) -> Plan:
    """Find all that a check needs: who may send what, where the list is, rates, and whether it was sent today."""
    prepared = await sends.prepare(tx, actor, service_id=service_id, template_id=template_id)
    found = await recipient_sources.find(tx, actor, prepared, source)
    now = models.utcnow()
    wanted = [prices.wanted(Channel.SMS, now)]
    wanted += [prices.wanted(Channel.LETTER, now, sheets=_SHEETS, postage=postage.value) for postage in Postage]
    rates = prices.found((await tx.execute(prices.RATES, prices.bound(wanted))).all())
    return Plan(
        prepared=prepared,
        source=found,
        sms_rate=rates[wanted[0]],
        letter_rates={rate.postage: price for rate, price in rates.items() if rate.postage and price is not None},
        already_sent=await _already_sent(tx, prepared, found),
    )


async def examine(plan: Plan, data: str | bytes) -> RecipientCheck:
    """Check a list, in a thread, for a long one takes seconds."""
    return await asyncio.to_thread(_examine, plan, data)


def _examine(plan: Plan, data: str | bytes) -> RecipientCheck:
    prepared = plan.prepared
    listed = lists.open_list(
        data, prepared.channel, prepared.content.placeholders, template=prepared.content, permits=prepared.permits
    )
    found = RecipientCheck(prepared, already_sent=plan.already_sent)
    seen: set[str] = set()
    postages: Counter[str] = Counter()
    for row in listed:
        problems = row.problems
        if row.normalised is not None:
            if row.normalised in seen:
                found.duplicate_recipient_count += 1
            seen.add(row.normalised)
            if row.normalised not in prepared.audience:
                problems = [*problems, _not_allowed(prepared, listed, row)]
                found.refused_rows.append(row.number)
        if len(found.sample) < SHOWN_ROWS:
            found.sample.append(row)
        if problems:
            found.rows_with_errors_count += 1
            if found.rows_with_errors_count <= SHOWN_ROWS_WITH_ERRORS:
                found.row_errors += problems
            continue
        if row.phone_number and row.sms:
            found.international_count += row.phone_number.international
            found.total_units += row.sms.fragment_count * row.phone_number.multiplier
        elif row.postal_address:
            found.total_units += _SHEETS
            postages[_postage(prepared, row)] += 1
    found.row_count = listed.row_count
    found.columns = listed.columns
    found.recipient_columns = listed.recipient_columns
    found.unused_columns = listed.unused_columns
    found.missing_columns = listed.missing_columns
    found.estimated_cost = _cost(plan, found.total_units, postages)
    _judge(plan, found, listed)
    return found


def _not_allowed(prepared: Prepared, listed: RecipientList, row: Row) -> RowProblem:
    refusal = prepared.audience.refusal()
    columns = listed.recipient_columns
    return RowProblem(row.number, columns[0] if len(columns) == 1 else None, refusal.code, refusal.message)


def _postage(prepared: Prepared, row: Row) -> str:
    abroad = row.postal_address.abroad if row.postal_address else None
    return str(abroad or prepared.template.postage or Postage.SECOND)


def _cost(plan: Plan, units: int, postages: Mapping[str, int]) -> Decimal:
    if plan.prepared.channel is Channel.SMS:
        return units * (plan.sms_rate or Decimal(0))
    return sum((count * plan.letter_rates.get(postage, Decimal(0)) for postage, count in postages.items()), Decimal(0))


def _judge(plan: Plan, found: RecipientCheck, listed: RecipientList) -> None:
    """What is wrong with the list as a whole, the day's limits included: those that its good rows would pass."""
    prepared, path = plan.prepared, plan.source.path
    found.problems = [Invalid(problem.message, *path, code=problem.code) for problem in listed.problems]
    good = found.row_count - found.rows_with_errors_count
    counts = sending_limits.counted(prepared.channel, good, found.international_count)
    exceeded = sending_limits.check(prepared.service, counts, prepared.used, prepared.key_type)
    found.problems += [problem.under(*path) for problem in exceeded]
    limit = sending_limits.limit_of(prepared.service, prepared.channel, prepared.key_type)
    found.remaining_today = max(limit - prepared.used.get(prepared.channel.value, 0), 0)


async def _already_sent(tx: AsyncSession, prepared: Prepared, source: Source) -> UUID | None:
    if not source.file_name:
        return None
    job = models.Job
    found: UUID | None = await tx.scalar(
        select(job.id)
        .where(
            job.service_id == prepared.service.id,
            job.template_id == prepared.template.id,
            job.template_version == prepared.template.version,
            job.original_file_name == source.file_name,
            job.created_at >= london_days.midnight(london_days.today()),
            job.job_status != JobStatus.CANCELLED.value,
        )
        .order_by(job.created_at.desc())
        .limit(1)
    )
    return found


def summary(found: RecipientCheck) -> tuple[str, UserErrorCode] | None:
    """Why a job would refuse the list, in a sentence and a code; None where it would not.

    The sentence counts rows as spreadsheets do: the headers are row 1.
    """
    if found.problems:
        return " ".join(problem.message for problem in found.problems), found.problems[0].code
    if found.rows_with_errors_count:
        rows = "1 row has" if found.rows_with_errors_count == 1 else f"{found.rows_with_errors_count:,} rows have"
        first = found.row_errors[0]
        column = f", column ‘{first.column}’" if first.column else ""  # noqa: RUF001
        return f"{rows} problems. Row {first.row + 2}{column}: {first.message}", first.code
    return None
