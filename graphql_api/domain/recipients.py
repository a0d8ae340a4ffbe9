"""Check of a list of recipients against one template: every problem that a job would raise, and the estimated cost.

`prepare` needs a transaction, `examine` none, so that no connection is held while a long list is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

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

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.content.messages import RenderedContent
    from graphql_api.domain.recipient_sources import RecipientSource
    from graphql_api.domain.sends import PreparedSend
    from graphql_api.domain.transactions import TransactionFactory
    from graphql_api.gateways.object_store import Store
    from graphql_api.recipients.lists import RecipientList, RecipientRow

MAX_SAMPLE_ROWS = 10
MAX_REPORTED_ERROR_ROWS = 20
_ASSUMED_LETTER_SHEETS = 1
"""Letters are not rendered here, so each is taken to have one sheet."""


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """The rows and values that a check needs besides the list."""

    prepared: PreparedSend
    source: RecipientSource
    sms_rate: Decimal | None
    letter_rates: Mapping[str, Decimal]
    "Price of one sheet, by postage."
    already_sent_job_id: UUID | None
    "A job of today (London) with the same file name, template and version."


@dataclass(slots=True)
class RecipientCheck:
    """The result of a check.

    Without `prepared` the list was not read, and `problems` hold the reason.
    """

    prepared: PreparedSend | None = None
    problems: list[DomainError] = field(default_factory=list)
    "Problems of the list as a whole."
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
    "Rows, counted from 0, whose recipients are outside the audience."

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
    """Check a list as `jobs.create` does, without sending it."""
    async with transaction() as tx:
        inputs = await prepare(tx, actor, service_id=service_id, template_id=template_id, source=source)
    return await examine(inputs, await inputs.source.read(store))


async def prepare(
    tx: AsyncSession, actor: Actor, *, template_id: UUID, source: Mapping[str, Any], service_id: UUID | None = None
) -> CheckInputs:
    """Read what a check needs: permissions, the place of the list, rates, and a job of today with the same list."""
    prepared = await sends.prepare(tx, actor, service_id=service_id, template_id=template_id)
    resolved_source = await recipient_sources.resolve(tx, actor, prepared, source)
    now = models.utcnow()
    rate_keys = [prices.rate_key(Channel.SMS, now)]
    rate_keys += [
        prices.rate_key(Channel.LETTER, now, sheets=_ASSUMED_LETTER_SHEETS, postage=postage.value)
        for postage in Postage
    ]
    rates = prices.rates_by_key((await tx.execute(prices.SELECT_RATES, prices.rate_parameters(rate_keys))).all())
    return CheckInputs(
        prepared=prepared,
        source=resolved_source,
        sms_rate=rates[rate_keys[0]],
        letter_rates={rate.postage: price for rate, price in rates.items() if rate.postage and price is not None},
        already_sent_job_id=await _find_job_sent_today(tx, prepared, resolved_source),
    )


async def examine(inputs: CheckInputs, data: str | bytes) -> RecipientCheck:
    """Check a list in a thread, for a long one takes seconds."""
    return await asyncio.to_thread(_check_rows, inputs, data)


def _check_rows(inputs: CheckInputs, data: str | bytes) -> RecipientCheck:
    prepared = inputs.prepared
    recipient_list = lists.RecipientList(
        data,
        prepared.channel,
        prepared.content.placeholders,
        template=prepared.content,
        allowed=prepared.recipient_permissions,
    )
    result = RecipientCheck(prepared, already_sent_job_id=inputs.already_sent_job_id)
    seen: set[str] = set()
    postages: Counter[str] = Counter()
    for row in recipient_list:
        problems = row.problems
        if row.normalised is not None:
            if row.normalised in seen:
                result.duplicate_recipient_count += 1
            seen.add(row.normalised)
            if row.normalised not in prepared.audience:
                problems = [*problems, _not_allowed_problem(prepared, recipient_list, row)]
                result.disallowed_rows.append(row.number)
        if len(result.sample) < MAX_SAMPLE_ROWS:
            result.sample.append(row)
        if problems:
            result.rows_with_errors_count += 1
            if result.rows_with_errors_count <= MAX_REPORTED_ERROR_ROWS:
                result.row_errors += problems
            continue
        if row.phone_number and row.sms:
            result.international_count += row.phone_number.international
            result.total_units += row.sms.fragment_count * row.phone_number.multiplier
        elif row.postal_address:
            result.total_units += _ASSUMED_LETTER_SHEETS
            postages[_letter_postage(prepared, row)] += 1
    result.row_count = recipient_list.row_count
    result.columns = recipient_list.columns
    result.recipient_columns = recipient_list.recipient_columns
    result.unused_columns = recipient_list.unused_columns
    result.missing_columns = recipient_list.missing_columns
    result.estimated_cost = _estimate_cost(inputs, result.total_units, postages)
    _check_whole_list(inputs, result, recipient_list)
    return result


def _not_allowed_problem(prepared: PreparedSend, recipient_list: RecipientList, row: RecipientRow) -> RowProblem:
    error = prepared.audience.not_allowed_error()
    columns = recipient_list.recipient_columns
    return RowProblem(row.number, columns[0] if len(columns) == 1 else None, error.code, error.message)


def _letter_postage(prepared: PreparedSend, row: RecipientRow) -> str:
    international = row.postal_address.international_postage if row.postal_address else None
    return str(international or prepared.template.postage or Postage.SECOND)


def _estimate_cost(inputs: CheckInputs, units: int, postages: Mapping[str, int]) -> Decimal:
    if inputs.prepared.channel is Channel.SMS:
        return units * (inputs.sms_rate or Decimal(0))
    return sum(
        (count * inputs.letter_rates.get(postage, Decimal(0)) for postage, count in postages.items()), Decimal(0)
    )


def _check_whole_list(inputs: CheckInputs, result: RecipientCheck, recipient_list: RecipientList) -> None:
    """Add the problems of the list as a whole, and of the daily limits that its good rows would exceed."""
    prepared, path = inputs.prepared, inputs.source.argument_path
    result.problems = [Invalid(problem.message, *path, code=problem.code) for problem in recipient_list.problems]
    good_count = result.row_count - result.rows_with_errors_count
    counts = sending_limits.daily_counts(prepared.channel, good_count, result.international_count)
    exceeded = sending_limits.check(prepared.service, counts, prepared.daily_usage, prepared.key_type)
    result.problems += [problem.with_path_prefix(*path) for problem in exceeded]
    limit = sending_limits.daily_limit(prepared.service, prepared.channel, prepared.key_type)
    result.remaining_today = max(limit - prepared.daily_usage.get(prepared.channel.value, 0), 0)


async def _find_job_sent_today(tx: AsyncSession, prepared: PreparedSend, source: RecipientSource) -> UUID | None:
    if not source.file_name:
        return None
    job = models.Job
    job_id: UUID | None = await tx.scalar(
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
    return job_id


def summarise_problems(result: RecipientCheck) -> tuple[str, UserErrorCode] | None:
    """The problems as one sentence and the code of the first; None without problems.

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
