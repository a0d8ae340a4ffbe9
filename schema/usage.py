"""Usage: what a service's messages come to in a financial year, and how many texts are free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

import strawberry

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.enums import Channel, Postage, ServicePermission
from graphql_api.errors import BadRequest, Forbidden
from loaders import organisations, usage
from loaders.core import PageArguments
from loaders.usage import UsageLine, YearUsage
from schema import refs
from schema.core import Connection, Info, entity_from_row, value_object
from schema.enums import member_or_none
from schema.money import Money
from schema.ranges import DateRange

FIRST_FINANCIAL_YEAR = 2016


@value_object
class SmsUsage:
    """Text messages of one financial year."""

    notifications: int
    """Number of messages."""
    chargeable_units: int
    """Fragments times each country's multiplier."""
    free_allowance: int
    """Units that are free."""
    free_allowance_used: int
    """Free units used, in order of date."""
    free_allowance_remaining: int
    """Free units left."""
    charged_units: int
    """Units beyond the free ones."""
    cost: Money
    """Those at the rate of the day each was sent."""


@value_object
class EmailUsage:
    """Emails of one financial year."""

    notifications: int
    """Number of messages; they cost nothing."""


@value_object
class LetterUsage:
    """Letters of one financial year."""

    notifications: int
    """Number of letters."""
    sheets: int
    """Sheets of paper."""
    cost: Money
    """What they cost."""


@value_object
class MonthlyUsage:
    """One line of a month's bill."""

    month: date
    """First day of the month."""
    channel: Channel
    """The channel."""
    postage: Postage | None
    """Class of post; letters only."""
    rate: Money
    """Price of one unit or letter."""
    notifications: int
    """Number of messages."""
    chargeable_units: int
    """Fragments times multipliers, or sheets."""
    free_allowance_used: int
    """Free units used."""
    charged_units: int
    """Units beyond the free ones."""
    cost: Money
    """What the line costs."""

    @classmethod
    def of(cls, line: UsageLine) -> Self:
        """A line as it stands on the bill."""
        return cls(
            month=line.month,
            channel=Channel(line.channel),
            postage=member_or_none(Postage, line.postage),
            rate=Money.pounds(line.rate),
            notifications=line.messages,
            chargeable_units=line.units,
            free_allowance_used=line.free_units,
            charged_units=line.charged_units,
            cost=Money.pounds(line.cost),
        )


@value_object
class Usage:
    """Use and spend in one financial year, 1 April to 31 March in London."""

    financial_year: int
    """Calendar year in which it starts."""
    range: DateRange
    """Its days."""
    sms: SmsUsage
    """Text messages."""
    email: EmailUsage
    """Emails."""
    letter: LetterUsage
    """Letters."""
    total_cost: Money
    """Text messages and letters together."""
    months: list[MonthlyUsage]
    """The same by month, channel, rate and postage."""
    updated_at: datetime | None
    """When the figures were last brought up to date."""

    @classmethod
    def of(cls, start_year: int, year: YearUsage) -> Self:
        """The figures of a year."""
        texts, emails, letters = (
            [line for line in year.lines if line.channel == channel]
            for channel in (Channel.SMS, Channel.EMAIL, Channel.LETTER)
        )
        used = sum(line.free_units for line in texts)
        return cls(
            financial_year=start_year,
            range=DateRange(from_=date(start_year, 4, 1), to=date(start_year + 1, 3, 31)),
            sms=SmsUsage(
                notifications=sum(line.messages for line in texts),
                chargeable_units=sum(line.units for line in texts),
                free_allowance=year.allowance,
                free_allowance_used=used,
                free_allowance_remaining=year.allowance - used,
                charged_units=sum(line.charged_units for line in texts),
                cost=_total_cost(texts),
            ),
            email=EmailUsage(notifications=sum(line.messages for line in emails)),
            letter=LetterUsage(
                notifications=sum(line.messages for line in letters),
                sheets=sum(line.units for line in letters),
                cost=_total_cost(letters),
            ),
            total_cost=_total_cost(year.lines),
            # Emails stand on no bill.
            months=[MonthlyUsage.of(line) for line in year.lines if line.channel != Channel.EMAIL],
            updated_at=max((line.updated_at for line in year.lines if line.updated_at is not None), default=None),
        )


@value_object
class AnnualAllowance:
    """A service's free text messages in one financial year."""

    financial_year: int
    """Calendar year in which it starts."""
    units: int
    """Units that are free."""
    is_custom: bool
    """True when a platform admin set it; it carries over to later years."""
    high_volume_last_year: bool
    """True when 300,000 units or more were used the year before, so that the default is 0."""

    @classmethod
    def of(cls, start_year: int, year: YearUsage) -> Self:
        """The allowance of a year."""
        return cls(
            financial_year=start_year,
            units=year.allowance,
            is_custom=year.is_custom,
            high_volume_last_year=year.high_volume_last_year,
        )


@strawberry.type(description="One service's use and spend.")
class ServiceUsage:
    """A service as a page of an organisation's services holds it, in one year."""

    row: strawberry.Private[Any]
    year: strawberry.Private[int]

    @strawberry.field(description="The service.")
    def service(self) -> refs.Service:
        """The service itself."""
        service: refs.Service = entity_from_row(self.row, models.Service)
        return service

    @strawberry.field(description="The figures.")
    async def usage(self, info: Info) -> Usage:
        """Its year."""
        wanted = usage.ServiceYear(self.row.id, self.year)
        return Usage.of(self.year, await info.context.loaders.batch(usage.by_financial_year, wanted))


@dataclass(frozen=True, slots=True)
class _ServiceUsageFactory:
    """Makes of a page's rows what they used in a year."""

    year: int

    def of(self, row: Any) -> ServiceUsage:
        """One service's."""
        return ServiceUsage(row=row, year=self.year)


def service_usage_connection(
    info: Info, organisation: Any, financial_year: int | None, **paging: int | str | None
) -> Connection[ServiceUsage]:
    """Live services of an organisation, for its members and platform admins."""
    actor = info.context.actor
    if not actor.platform_wide and organisation.id not in actor.organisation_ids:
        raise Forbidden("ORGANISATION_MEMBER", "This is for members of the organisation.")
    page = organisations.live_services
    arguments = PageArguments.parse(page.order, {}, **paging)  # type: ignore[arg-type]
    return Connection(
        page=page,
        parent_key=organisation.id,
        arguments=arguments,
        entity=_ServiceUsageFactory(financial_year_or_current(financial_year)),
    )


async def read_year_usage(info: Info, service: Any, requested_year: int | None) -> tuple[int, YearUsage]:
    """The financial year asked for, the current one where none is, and its figures.

    For whoever manages the service's settings, belongs to its organisation, or is its key.
    """
    actor = info.context.actor
    if not (
        actor.has_permission(ServicePermission.MANAGE_SETTINGS, service.id)
        or service.organisation_id in actor.organisation_ids
        or actor.key_service_id == service.id
    ):
        raise Forbidden(ServicePermission.MANAGE_SETTINGS.name)
    year = financial_year_or_current(requested_year)
    return year, await info.context.loaders.batch(usage.by_financial_year, usage.ServiceYear(service.id, year))


def financial_year_or_current(requested_year: int | None) -> int:
    """The financial year asked for, the current one where none is; `BadRequest` for one that has no figures."""
    current = london_days.financial_year(london_days.today())
    year = current if requested_year is None else requested_year
    if not FIRST_FINANCIAL_YEAR <= year <= current:
        raise BadRequest(f"`financialYear` takes {FIRST_FINANCIAL_YEAR} to {current}: the year in which it starts.")
    return year


def _total_cost(lines: Sequence[UsageLine]) -> Money:
    return Money.pounds(sum((line.cost for line in lines), Decimal(0)))
