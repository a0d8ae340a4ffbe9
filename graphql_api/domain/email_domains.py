"""Which email addresses are a government's own: those who have one may register unaided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import models

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

GOVERNMENT_DOMAINS = frozenset(
    {
        "assembly.wales",
        "cjsm.net",
        "gov.scot",
        "gov.uk",
        "gov.wales",
        "hmcts.net",
        "judiciary.uk",
        "llyw.cymru",
        "mil.uk",
        "mod.uk",
        "nhs.net",
        "nhs.scot",
        "nhs.uk",
        "parliament.scot",
        "parliament.uk",
        "police.uk",
        "senedd.wales",
    }
)
"""Domains that only public bodies have, with every domain below them."""


async def filter_government_addresses(tx: AsyncSession, addresses: Iterable[str]) -> set[str]:
    """Those of the addresses whose domain, or one above it, is a government's or any organisation's."""
    domains = {address: _domain_suffixes(address) for address in addresses}
    unsure = {domain for tried in domains.values() if not GOVERNMENT_DOMAINS & tried for domain in tried}
    ours = GOVERNMENT_DOMAINS | await _organisation_domains(tx, unsure) if unsure else GOVERNMENT_DOMAINS
    return {address for address, tried in domains.items() if ours & tried}


async def is_government_address(tx: AsyncSession, address: str) -> bool:
    """Whether an address is a government's own."""
    return bool(await filter_government_addresses(tx, [address]))


async def _organisation_domains(tx: AsyncSession, domains: set[str]) -> set[str]:
    owned = models.OrganisationDomain.domain
    wanted = any_(bindparam("domains", sorted(domains), ARRAY(owned.type)))
    return set(await tx.scalars(select(owned).where(owned == wanted)))


def _domain_suffixes(address: str) -> set[str]:
    """The domain of an address and those above it, but for the last."""
    labels = address.rpartition("@")[2].lower().split(".")
    return {".".join(labels[start:]) for start in range(len(labels) - 1)}
