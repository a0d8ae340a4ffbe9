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
    from graphql_api.content.messages import RenderedContent
    from graphql_api.domain.recipient_sources import RecipientSource
    from graphql_api.domain.sends import PreparedSend
    from graphql_api.gateways.object_store import Store
    from graphql_api.recipients.lists import RecipientList, RecipientRow

TransactionFactory = Callable[[], AbstractAsyncContextManager[AsyncSession]]

MAX_SAMPLE_ROWS = 10
MAX_REPORTED_ERROR_ROWS = 20
_ASSUMED_LETTER_SHEETS = 1
"""Pages are made elsewhere: until then a letter counts as one sheet."""


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """What a check needs to know besides the list."""

    prepared: PreparedSend
    source: RecipientSource
    sms_rate: Decimal | None
    letter_rates: Mapping[str, Decimal]
    "By postage, for one sheet."
    already_sent_job_id: UUID | None
    "A job of today (London) with the same file name, template and version."


@dataclass(slots=True)
class RecipientCheck:
    """What a list of recipients looks like against one template.

    Without what was `prepared`, it tells why the list was not even read.
    """

    prepared: PreparedSend | None = None
    problems: list[DomainError] = field(default_factory=list)
    "What is wrong with the list as a whole."
    columns: list[str] = field(default_factory=list)
    recipient_columns: list[str] = field(default_factory=list)
    unused_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    row_count: int = 0
    rows_with_errors_count: int = 0
    row_errors: list[RowProblem] = field(default_factory=list)
    sample: list[RecipientRow] = field(default_factory=list)
    international_count: int = 0
    duplicate_recipient_count: int = 0
    total_units: int = 0
    estimated_cost: Decimal = Decimal(0)
    remaining_today: int = 0
    already_sent_job_id: UUID | None = None
    disallowed_rows: list[int] = field(default_factory=list)
    "Rows that only who may be sent to refuses, which the list alone does not tell."

    @property
    def is_valid(self) -> bool:
        """Whether a job made from the list would be accepted."""
        return not self.problems and not self.rows_with_errors_count

    def render(self, row: RecipientRow) -> RenderedContent:
        """A row of the sample as it would be sent."""
        if self.prepared is None:
            raise ValueError("A list that was not read has no rows.")
        return self.prepared.content.render(row.personalisation)


async def check(
    transaction: TransactionFactory,
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
) -> CheckInputs:
    """Find all that a check needs: who may send what, where the list is, rates, and whether it was sent today."""
    prepared = await sends.prepare(tx, actor, service_id=service_id, template_id=template_id)
    found = await recipient_sources.resolve(tx, actor, prepared, source)
    now = models.utcnow()
    wanted = [prices.rate_key(Channel.SMS, now)]
    wanted += [
        prices.rate_key(Channel.LETTER, now, sheets=_ASSUMED_LETTER_SHEETS, postage=postage.value)
        for postage in Postage
    ]
    rates = prices.rates_by_key((await tx.execute(prices.SELECT_RATES, prices.rate_parameters(wanted))).all())
    return CheckInputs(
        prepared=prepared,
        source=found,
        sms_rate=rates[wanted[0]],
        letter_rates={rate.postage: price for rate, price in rates.items() if rate.postage and price is not None},
        already_sent_job_id=await _find_job_sent_today(tx, prepared, found),
    )


async def examine(inputs: CheckInputs, data: str | bytes) -> RecipientCheck:
    """Check a list, in a thread, for a long one takes seconds."""
    return await asyncio.to_thread(_check_rows, inputs, data)


def _check_rows(inputs: CheckInputs, data: str | bytes) -> RecipientCheck:
    prepared = inputs.prepared
    listed = lists.RecipientList(
        data,
        prepared.channel,
        prepared.content.placeholders,
        template=prepared.content,
        allowed=prepared.recipient_permissions,
    )
    found = RecipientCheck(prepared, already_sent_job_id=inputs.already_sent_job_id)
    seen: set[str] = set()
    postages: Counter[str] = Counter()
    for row in listed:
        problems = row.problems
        if row.normalised is not None:
            if row.normalised in seen:
                found.duplicate_recipient_count += 1
            seen.add(row.normalised)
            if row.normalised not in prepared.audience:
                problems = [*problems, _not_allowed_problem(prepared, listed, row)]
                found.disallowed_rows.append(row.number)
        if len(found.sample) < MAX_SAMPLE_ROWS:
            found.sample.append(row)
        if problems:
            found.rows_with_errors_count += 1
            if found.rows_with_errors_count <= MAX_REPORTED_ERROR_ROWS:
                found.row_errors += problems
            continue
        if row.phone_number and row.sms:
            found.international_count += row.phone_number.international
            found.total_units += row.sms.fragment_count * row.phone_number.multiplier
        elif row.postal_address:
            found.total_units += _ASSUMED_LETTER_SHEETS
            postages[_letter_postage(prepared, row)] += 1
    found.row_count = listed.row_count
    found.columns = listed.columns
    found.recipient_columns = listed.recipient_columns
    found.unused_columns = listed.unused_columns
    found.missing_columns = listed.missing_columns
    found.estimated_cost = _estimate_cost(inputs, found.total_units, postages)
    _check_whole_list(inputs, found, listed)
    return found


def _not_allowed_problem(prepared: PreparedSend, recipient_list: RecipientList, row: RecipientRow) -> RowProblem:
    refusal = prepared.audience.not_allowed_error()
    columns = recipient_list.recipient_columns
    return RowProblem(row.number, columns[0] if len(columns) == 1 else None, refusal.code, refusal.message)


def _letter_postage(prepared: PreparedSend, row: RecipientRow) -> str:
    abroad = row.postal_address.international_postage if row.postal_address else None
    return str(abroad or prepared.template.postage or Postage.SECOND)


def _estimate_cost(inputs: CheckInputs, units: int, postages: Mapping[str, int]) -> Decimal:
    if inputs.prepared.channel is Channel.SMS:
        return units * (inputs.sms_rate or Decimal(0))
    return sum(
        (count * inputs.letter_rates.get(postage, Decimal(0)) for postage, count in postages.items()), Decimal(0)
    )


def _check_whole_list(inputs: CheckInputs, result: RecipientCheck, recipient_list: RecipientList) -> None:
    """What is wrong with the list as a whole, the day's limits included: those that its good rows would pass."""
    prepared, path = inputs.prepared, inputs.source.argument_path
    result.problems = [Invalid(problem.message, *path, code=problem.code) for problem in recipient_list.problems]
    good = result.row_count - result.rows_with_errors_count
    counts = sending_limits.daily_counts(prepared.channel, good, result.international_count)
    exceeded = sending_limits.check(prepared.service, counts, prepared.daily_usage, prepared.key_type)
    result.problems += [problem.with_path_prefix(*path) for problem in exceeded]
    limit = sending_limits.daily_limit(prepared.service, prepared.channel, prepared.key_type)
    result.remaining_today = max(limit - prepared.daily_usage.get(prepared.channel.value, 0), 0)


async def _find_job_sent_today(tx: AsyncSession, prepared: PreparedSend, source: RecipientSource) -> UUID | None:
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


def summarise_problems(result: RecipientCheck) -> tuple[str, UserErrorCode] | None:
    """Why a job would refuse the list, in a sentence and a code; None where it would not.

    The sentence counts rows as spreadsheets do: the headers are row 1.
    """
    if result.problems:
        return " ".join(problem.message for problem in result.problems), result.problems[0].code
    if result.rows_with_errors_count:
        rows = "1 row has" if result.rows_with_errors_count == 1 else f"{result.rows_with_errors_count:,} rows have"
        first = result.row_errors[0]
        column = f", column ‘{first.column}’" if first.column else ""  # noqa: RUF001
        return f"{rows} problems. Row {first.row + 2}{column}: {first.message}", first.code
    return None
