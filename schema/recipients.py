"""Lists of recipients: their sources, and the result of checking one against a template."""

from typing import Annotated, Any, Self, TypeAlias

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
    """A problem of one row."""

    row_number: int
    """Number of the row, counted from 0."""
    column: str | None
    """Header of the column; null for the whole row."""
    code: UserErrorCode
    """Stable reason for programs."""
    message: str
    """Sentence that can be shown to a person."""


@value_object
class RecipientRow:
    """A row of a list, with its message."""

    row_number: int
    """Number of the row, counted from 0."""
    recipient: str | None
    """Recipient as in the list."""
    personalisation: JSON
    """Values, by header."""
    message: RenderedMessage
    """Message that would be sent."""


@value_object
class RecipientCheck:
    """The result of checking a list of recipients against a template."""

    result: strawberry.Private[domain.RecipientCheck]

    valid: bool
    """True when `createJob` would accept the list."""
    columns: list[str]
    """Headers of the list."""
    recipient_columns: list[str]
    """Headers that hold the recipient."""
    unused_columns: list[str]
    """Headers that are neither of the recipient nor of a placeholder."""
    missing_columns: list[str]
    """Headers that the template needs and the list does not have."""
    row_count: int
    """Number of rows, without empty ones at the end."""
    rows_with_errors_count: int
    """Number of rows with problems."""
    row_errors: list[RecipientRowError]
    """Problems of the first twenty rows that have any."""
    international_count: int
    """Number of text messages to numbers abroad."""
    duplicate_recipient_count: int
    """Number of rows whose recipient is also in an earlier row."""
    total_units: int
    """Fragments times multipliers, or sheets."""
    estimated_cost: Money
    """Cost of the units at today's rate, without regard to the yearly free allowance."""
    remaining_today: int
    """Messages of the channel that can still be sent today."""

    @classmethod
    def of(cls, result: domain.RecipientCheck) -> Self:
        """The result as the domain returns it."""
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

    @strawberry.field(description="Problems of the list as a whole.")
    def problems(self, info: Info) -> list[UserError]:
        """The problems, with paths of the arguments."""
        return [entry for problem in self.result.problems for entry in user_errors(problem, info.context)]

    @strawberry.field(description="The first rows as they would be sent, at most ten.")
    def sample(self, info: Info) -> list[RecipientRow]:
        """The rows, rendered only when selected."""
        return [_recipient_row(self.result, row, info.context) for row in self.result.sample]

    @strawberry.field(description="A job of today with the same file name, template and version.")
    async def already_sent(self, info: Info) -> refs.Job | None:
        """The job, as far as the caller sees it."""
        return entity_from_row(await info.context.loaders.row(jobs.by_id, self.result.already_sent_job_id), models.Job)  # type: ignore[no-any-return]


@error_type(errors.RecipientListRefused, convert={"check": RecipientCheck.of})
class RecipientListError(UserError):
    """A list of recipients has problems."""

    check: RecipientCheck
    """Result of the checks, with the first rows that have problems."""


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
    """Name of the file."""
    content: str
    """Text of the file, limited by the size of a request (1 MB)."""


@input_type
class RecipientRowInput(Input):
    """One recipient."""

    recipient: RecipientInput
    """Email address, phone number or postal address."""
    personalisation: JSON | None = None
    """As for `sendNotification`."""
    reference: str | None = None
    """The sender's own reference; in a CSV file the column `reference`."""


@one_of_input
class RecipientSourceInput(Input):
    """Source of the rows."""

    csv: strawberry.Maybe[CsvInput]
    """A small CSV file in the arguments."""
    upload_id: strawberry.Maybe[strawberry.ID]
    """Id that the upload route (plain HTTP) returned for a file of up to 10 MB and 100,000 rows."""
    rows: strawberry.Maybe[list[RecipientRowInput]]
    """The rows in the arguments, up to 250."""
    contact_list_id: strawberry.Maybe[strawberry.ID]
    """A saved contact list."""


@input_type
class CheckRecipientsInput(Input):
    """A list to check."""

    service_id: strawberry.ID
    """The service."""
    template_id: strawberry.ID
    """The template."""
    source: RecipientSourceInput
    """Source of the rows."""


CheckInput: TypeAlias = Annotated[CheckRecipientsInput, strawberry.argument(description="The list and the template.")]


@strawberry.type
class RecipientQueries:
    """The field of Query that checks lists."""

    @strawberry.field(
        description="Run every check of `createJob` and compute the cost, without sending.",
        metadata=points.weight(400),
    )
    async def check_recipients(self, info: Info, input: CheckInput) -> RecipientCheck | None:
        """The result of the checks; None where the service, template or list does not exist."""
        context = info.context
        try:
            check = await domain.check(context.database.transaction, context.actor, context.store, **input.values())
        except NotFound:
            return None
        except DomainError as error:
            check = domain.RecipientCheck(problems=[error])
        return RecipientCheck.of(check)
