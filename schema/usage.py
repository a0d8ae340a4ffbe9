"""Usage of a service in a financial year, its cost, and the allowance of free text messages."""

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
    """Charged units, each at the rate of the day on which it was sent."""


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
    """Cost of the letters."""


@value_object
class MonthlyUsage:
    """One line of a month's bill."""

    month: date
    """First day of the month."""
    channel: Channel
    """Channel of the messages."""
    postage: Postage | None
    """Class of post; letters only."""
    rate: Money
    """Price of one unit, or of one letter."""
    notifications: int
    """Number of messages."""
    chargeable_units: int
    """Fragments times multipliers, or sheets."""
    free_allowance_used: int
    """Free units used."""
    charged_units: int
    """Units beyond the free ones."""
    cost: Money
    """Cost of the line."""

    @classmethod
    def of(cls, line: UsageLine) -> Self:
        """A line of the bill."""
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
    """Days of the year."""
    sms: SmsUsage
    """Usage of text messages."""
    email: EmailUsage
    """Usage of emails."""
    letter: LetterUsage
    """Usage of letters."""
    total_cost: Money
    """Text messages and letters together."""
    months: list[MonthlyUsage]
    """Lines of the bill by month, channel, rate and postage."""
    updated_at: datetime | None
    """When the stored figures were last updated."""

    @classmethod
    def of(cls, start_year: int, year: YearUsage) -> Self:
        """The usage of a year, from its lines."""
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
            # Emails cost nothing.
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
    """A row of a page of services, and the year."""

    row: strawberry.Private[Any]
    year: strawberry.Private[int]

    @strawberry.field(description="The service.")
    def service(self) -> refs.Service:
        """The service of the row."""
        service: refs.Service = entity_from_row(self.row, models.Service)
        return service

    @strawberry.field(description="Its usage in the year.")
    async def usage(self, info: Info) -> Usage:
        """The service's usage in the year."""
        key = usage.ServiceYear(self.row.id, self.year)
        return Usage.of(self.year, await info.context.loaders.batch(usage.by_financial_year, key))


@dataclass(frozen=True, slots=True)
class _ServiceUsageFactory:
    """The `entity` of a connection that makes a `ServiceUsage` of each row."""

    year: int

    def of(self, row: Any) -> ServiceUsage:
        """The usage of one service."""
        return ServiceUsage(row=row, year=self.year)


def service_usage_connection(
    info: Info, organisation: Any, financial_year: int | None, **paging: int | str | None
) -> Connection[ServiceUsage]:
    """Usage of an organisation's live services; `Forbidden` except to its members and platform admins."""
    actor = info.context.actor
    if not actor.platform_wide and organisation.id not in actor.organisation_ids:
        raise Forbidden("ORGANISATION_MEMBER", "You must be a member of the organisation.")
    page = organisations.live_services
    arguments = PageArguments.parse(page.order, {}, **paging)  # type: ignore[arg-type]
    return Connection(
        page=page,
        parent_key=organisation.id,
        arguments=arguments,
        entity=_ServiceUsageFactory(financial_year_or_current(financial_year)),
    )


async def read_year_usage(info: Info, service: Any, financial_year: int | None) -> tuple[int, YearUsage]:
    """The financial year, the current one for None, and the service's usage in it.

    Raises `Forbidden` except to those with MANAGE_SETTINGS, members of the organisation and the service's keys.
    """
    actor = info.context.actor
    if not (
        actor.has_permission(ServicePermission.MANAGE_SETTINGS, service.id)
        or service.organisation_id in actor.organisation_ids
        or actor.key_service_id == service.id
    ):
        raise Forbidden(ServicePermission.MANAGE_SETTINGS.name)
    year = financial_year_or_current(financial_year)
    return year, await info.context.loaders.batch(usage.by_financial_year, usage.ServiceYear(service.id, year))


def financial_year_or_current(financial_year: int | None) -> int:
    """The financial year, the current one for None; `BadRequest` for a year before the first or after the current."""
    current = london_days.financial_year(london_days.today())
    year = current if financial_year is None else financial_year
    if not FIRST_FINANCIAL_YEAR <= year <= current:
        raise BadRequest(f"`financialYear` must be between {FIRST_FINANCIAL_YEAR} and {current}.")
    return year


def _total_cost(lines: Sequence[UsageLine]) -> Money:
    return Money.pounds(sum((line.cost for line in lines), Decimal(0)))
