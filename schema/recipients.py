"""Lists of recipients: where they come from, and what a check finds in them."""

from typing import Any, Self

import strawberry

from graphql_api import errors, models
from graphql_api.context import Context
from graphql_api.domain import recipients as domain
from graphql_api.enums import UserErrorCode
from graphql_api.errors import DomainError, NotFound
from graphql_api.limits import points
from loaders import jobs
from schema import refs
from schema.core import JSON, Info, Input, entity_from_row, input_type, one_of_input, value_object
from schema.errors import UserError, error_type, user_errors
from schema.messages import RenderedMessage
from schema.money import Money
from schema.notifications import RecipientInput


@value_object
class RecipientRowError:
    """One problem in one row."""

    row_number: int
    """Row, counted from 0."""
    column: str | None
    """Header it stands under; null for the row as a whole."""
    code: UserErrorCode
    """Stable reason for programs."""
    message: str
    """Sentence fit to show to a person."""


@value_object
class RecipientRow:
    """One row of a list, rendered."""

    row_number: int
    """Row, counted from 0."""
    recipient: str | None
    """Recipient as given."""
    personalisation: JSON
    """Values by header."""
    message: RenderedMessage
    """What would be sent."""


@value_object
class RecipientCheck:
    """What a list of recipients looks like against one template."""

    result: strawberry.Private[domain.RecipientCheck]

    valid: bool
    """True when a job made from it would be accepted."""
    columns: list[str]
    """Headers found."""
    recipient_columns: list[str]
    """Headers used for the recipient."""
    unused_columns: list[str]
    """Headers used neither for the recipient nor for a placeholder."""
    missing_columns: list[str]
    """Headers that the template needs and the list lacks."""
    row_count: int
    """Rows, without empty ones at the end."""
    rows_with_errors_count: int
    """Rows with problems."""
    row_errors: list[RecipientRowError]
    """Problems of the first rows that have any, at most twenty rows."""
    international_count: int
    """Text messages that would go abroad."""
    duplicate_recipient_count: int
    """Rows whose recipient stands in an earlier row."""
    total_units: int
    """Fragments times multipliers, or sheets."""
    estimated_cost: Money
    """Those units at today's rate, without the yearly free allowance."""
    remaining_today: int
    """Messages the channel may still send today."""

    @classmethod
    def of(cls, result: domain.RecipientCheck) -> Self:
        """What the domain found."""
        return cls(
            result=result,
            valid=result.is_valid,
            columns=result.columns,
            recipient_columns=result.recipient_columns,
            unused_columns=result.unused_columns,
            missing_columns=result.missing_columns,
            row_count=result.row_count,
            rows_with_errors_count=result.rows_with_errors_count,
            row_errors=[
                RecipientRowError(
                    row_number=problem.row, column=problem.column, code=problem.code, message=problem.message
                )
                for problem in result.row_errors
            ],
            international_count=result.international_count,
            duplicate_recipient_count=result.duplicate_recipient_count,
            total_units=result.total_units,
            estimated_cost=Money.pounds(result.estimated_cost),
            remaining_today=result.remaining_today,
        )

    @strawberry.field(description="What is wrong with the list as a whole.")
    def problems(self, info: Info) -> list[UserError]:
        """The problems, whose paths are those of the arguments."""
        return [entry for problem in self.result.problems for entry in user_errors(problem, info.context)]

    @strawberry.field(description="First rows as they would be sent, at most ten.")
    def sample(self, info: Info) -> list[RecipientRow]:
        """The rows, rendered when they are asked for."""
        return [_recipient_row(self.result, row, info.context) for row in self.result.sample]

    @strawberry.field(description="Job of today with the same file name, template and version.")
    async def already_sent(self, info: Info) -> refs.Job | None:
        """The job, as far as the caller sees it."""
        return entity_from_row(await info.context.loaders.row(jobs.by_id, self.result.already_sent_job_id), models.Job)  # type: ignore[no-any-return]


@error_type(errors.RecipientListRefused, convert={"check": RecipientCheck.of})
class RecipientListError(UserError):
    """A list of recipients was refused."""

    check: RecipientCheck
    """What the checks found, with the first rows that have problems."""


def _recipient_row(result: domain.RecipientCheck, row: Any, context: Context) -> RecipientRow:
    rendered = result.render(row)
    return RecipientRow(
        row_number=row.number,
        recipient=row.recipient or None,
        personalisation=row.cells,
        message=RenderedMessage.of(rendered, context),
    )


@input_type
class CsvInput(Input):
    """A small CSV file with a header row."""

    file_name: str
    """Its name."""
    content: str
    """Its text, as far as the body of a request carries it (1 MB)."""


@input_type
class RecipientRowInput(Input):
    """One recipient."""

    recipient: RecipientInput
    """Whom to send to."""
    personalisation: JSON | None = None
    """As for `sendNotification`."""
    reference: str | None = None
    """The caller's own reference; in a CSV file the column `reference`."""


@one_of_input
class RecipientSourceInput(Input):
    """Where the rows come from."""

    csv: strawberry.Maybe[CsvInput]
    """A small CSV file, in the call itself."""
    upload_id: strawberry.Maybe[strawberry.ID]
    """A file of up to 10 MB and 100,000 rows, as the upload route (plain HTTP) names it."""
    rows: strawberry.Maybe[list[RecipientRowInput]]
    """The rows themselves, up to 250."""
    contact_list_id: strawberry.Maybe[strawberry.ID]
    """A saved list."""


@input_type
class CheckRecipientsInput(Input):
    """A list to check."""

    service_id: strawberry.ID
    """The service."""
    template_id: strawberry.ID
    """The template."""
    source: RecipientSourceInput
    """Where the rows come from."""


@strawberry.type
class RecipientQueries:
    """The part of Query that checks lists."""

    @strawberry.field(
        description="Run every check that `createJob` would run, and price it, without sending.",
        metadata=points.weight(400),
    )
    async def check_recipients(self, info: Info, input: CheckRecipientsInput) -> RecipientCheck | None:
        """What the checks found; null where there is no such service, template or list."""
        context = info.context
        try:
            found = await domain.check(context.database.transaction, context.actor, context.store, **input.values())
        except NotFound:
            return None
        except DomainError as refusal:
            found = domain.RecipientCheck(problems=[refusal])
        return RecipientCheck.of(found)
