"""Default brandings of NHS organisations and services."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from graphql_api import models
from graphql_api.enums import OrganisationType

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

NHS_TYPES = frozenset({OrganisationType.NHS_CENTRAL, OrganisationType.NHS_LOCAL, OrganisationType.NHS_GP})
NHS_DOMAINS = ("nhs.uk", "nhs.net")
NHS_EMAIL_BRANDING_ID = UUID("a7dc4e56-660b-4db7-8cff-12c37b12b5ea")
NHS_LETTER_BRANDING_ID = UUID("2cd354bb-6b85-eda3-c0ad-6b613150459f")
"""Notify's ids, the same in every environment."""


async def find_nhs_brandings(tx: AsyncSession) -> tuple[UUID | None, UUID | None]:
    """Ids of the email and letter branding of the NHS, each None if the database has no such row."""
    email = select(models.EmailBranding.id).where(models.EmailBranding.id == NHS_EMAIL_BRANDING_ID).scalar_subquery()
    letter = (
        select(models.LetterBranding.id).where(models.LetterBranding.id == NHS_LETTER_BRANDING_ID).scalar_subquery()
    )
    return (await tx.execute(select(email, letter))).one()


def is_nhs_address(email_address: str) -> bool:
    """Whether an email address has a domain of the NHS."""
    domain = email_address.rpartition("@")[2].lower()
    return any(domain == nhs_domain or domain.endswith(f".{nhs_domain}") for nhs_domain in NHS_DOMAINS)
