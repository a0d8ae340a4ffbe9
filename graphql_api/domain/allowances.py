"""Free allowances: text message fragments of a financial year that a service does not pay for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import case, select
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.enums import Channel, OrganisationType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession


async def default_allowance(tx: AsyncSession, organisation_type: str | None, year: int) -> int:
    """The default allowance of an organisation type in a financial year; that of OTHER if the type has none."""
    allowance = models.DefaultAnnualAllowance
    types = [organisation_type or OrganisationType.OTHER, OrganisationType.OTHER]
    fragments = await tx.scalar(
        select(allowance.allowance)
        .where(
            allowance.notification_type == Channel.SMS,
            allowance.organisation_type.in_(types),
            allowance.valid_from_financial_year_start <= year,
        )
        .order_by(
            case((allowance.organisation_type == types[0], 0), else_=1),
            allowance.valid_from_financial_year_start.desc(),
        )
        .limit(1)
    )
    return fragments or 0


async def reset(tx: AsyncSession, service_ids: Sequence[UUID], organisation_type: str | None) -> None:
    """Set the allowance of services for this year to their type's default, or to 0 after a year of high volume."""
    if not service_ids:
        return
    year = london_days.financial_year(london_days.today())
    limit = await default_allowance(tx, organisation_type, year)
    now = models.utcnow()
    statement = insert(models.AnnualBilling).values(
        [
            {
                "id": uuid7(),
                "service_id": service_id,
                "financial_year_start": year,
                "free_sms_fragment_limit": limit,
                "created_at": now,
            }
            for service_id in service_ids
        ]
    )
    high_volume = models.AnnualBilling.high_volume_service_last_year
    await tx.execute(
        statement.on_conflict_do_update(
            constraint="uix_service_id_financial_year_start",
            set_={
                "free_sms_fragment_limit": case((high_volume, 0), else_=statement.excluded.free_sms_fragment_limit),
                "has_custom_allowance": False,
                "updated_at": now,
            },
        )
    )
