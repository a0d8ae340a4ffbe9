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
from loaders.core import Arguments
from loaders.usage import Line, Year
from schema import refs
from schema.core import Connection, Info, of, plain
from schema.money import GBP, Money
from schema.ranges import DateRange

FIRST_YEAR = 2016
_CHANNELS: dict[str, Channel] = {channel.value: channel for channel in Channel}
_POSTAGES: dict[str, Postage] = {postage.value: postage for postage in Postage}


@plain
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


@plain
class EmailUsage:
    """Emails of one financial year."""

    notifications: int
    """Number of messages; they cost nothing."""


@plain
class LetterUsage:
    """Letters of one financial year."""

    notifications: int
    """Number of letters."""
    sheets: int
    """Sheets of paper."""
    cost: Money
    """What they cost."""


@plain
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
    def of(cls, line: Line) -> Self:
        """A line as it stands on the bill."""
        return cls(
            month=line.month,
            channel=_CHANNELS[line.channel],
            postage=_POSTAGES.get(line.postage),
            rate=pounds(line.rate),
            notifications=line.messages,
            chargeable_units=line.units,
            free_allowance_used=line.free,
            charged_units=line.charged,
            cost=pounds(line.cost),
        )


@plain
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
    def of(cls, starts: int, year: Year) -> Self:
        """The figures of a year."""
        texts, emails, letters = (
            [line for line in year.lines if line.channel == channel]
            for channel in (Channel.SMS, Channel.EMAIL, Channel.LETTER)
        )
        used = sum(line.free for line in texts)
        return cls(
            financial_year=starts,
            range=DateRange(from_=date(starts, 4, 1), to=date(starts + 1, 3, 31)),
            sms=SmsUsage(
                notifications=sum(line.messages for line in texts),
                chargeable_units=sum(line.units for line in texts),
                free_allowance=year.allowance,
                free_allowance_used=used,
                free_allowance_remaining=year.allowance - used,
                charged_units=sum(line.charged for line in texts),
                cost=_together(texts),
            ),
            email=EmailUsage(notifications=sum(line.messages for line in emails)),
            letter=LetterUsage(
                notifications=sum(line.messages for line in letters),
                sheets=sum(line.units for line in letters),
                cost=_together(letters),
            ),
            total_cost=_together(year.lines),
            # Emails stand on no bill.
            months=[MonthlyUsage.of(line) for line in year.lines if line.channel != Channel.EMAIL],
            updated_at=max((line.kept_at for line in year.lines if line.kept_at is not None), default=None),
        )


@plain
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
    def of(cls, starts: int, year: Year) -> Self:
        """The allowance of a year."""
        return cls(
            financial_year=starts,
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
        service: refs.Service = of(self.row, models.Service)
        return service

    @strawberry.field(description="The figures.")
    async def usage(self, info: Info) -> Usage:
        """Its year."""
        wanted = usage.Wanted(self.row.id, self.year)
        return Usage.of(self.year, await info.context.loaders.batch(usage.of_year, wanted))


@dataclass(frozen=True, slots=True)
class _InYear:
    """Makes of a page's rows what they used in a year."""

    year: int

    def of(self, row: Any) -> ServiceUsage:
        """One service's."""
        return ServiceUsage(row=row, year=self.year)


def by_service(
    info: Info, organisation: Any, financial_year: int | None, **paging: int | str | None
) -> Connection[ServiceUsage]:
    """Live services of an organisation, for its members and platform admins."""
    actor = info.context.actor
    if not actor.platform_wide and organisation.id not in actor.organisation_ids:
        raise Forbidden("ORGANISATION_MEMBER", "This is for members of the organisation.")
    page = organisations.live_services
    arguments = Arguments.read(page.order, {}, **paging)  # type: ignore[arg-type]
    return Connection(page=page, key=organisation.id, arguments=arguments, entity=_InYear(year_of(financial_year)))


async def read_year(info: Info, service: Any, asked: int | None) -> tuple[int, Year]:
    """The financial year asked for, the current one where none is, and its figures.

    For whoever manages the service's settings, belongs to its organisation, or is its key.
    """
    actor = info.context.actor
    if not (
        actor.may(ServicePermission.MANAGE_SETTINGS, service.id)
        or service.organisation_id in actor.organisation_ids
        or actor.key_service_id == service.id
    ):
        raise Forbidden(ServicePermission.MANAGE_SETTINGS.name)
    year = year_of(asked)
    return year, await info.context.loaders.batch(usage.of_year, usage.Wanted(service.id, year))


def year_of(asked: int | None) -> int:
    """The financial year asked for, the current one where none is; `BadRequest` for one that has no figures."""
    current = london_days.financial_year(london_days.today())
    year = current if asked is None else asked
    if not FIRST_YEAR <= year <= current:
        raise BadRequest(f"`financialYear` takes {FIRST_YEAR} to {current}: the year in which it starts.")
    return year


def pounds(amount: Decimal) -> Money:
    """A sum, which is there."""
    return Money(amount=amount, currency=GBP)


def _together(lines: Sequence[Line]) -> Money:
    return pounds(sum((line.cost for line in lines), Decimal(0)))
