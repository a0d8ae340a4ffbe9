"""Email domains of public bodies: users with such an address may register without an invitation."""

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
"""Domains of public bodies; their subdomains count too."""


async def filter_government_addresses(tx: AsyncSession, addresses: Iterable[str]) -> set[str]:
    """The addresses whose domain, or a parent of it, is in `GOVERNMENT_DOMAINS` or belongs to an organisation."""
    # Top-level domains do not count.
    suffixes_by_address = {address: {*domain_suffixes(address)[:-1]} for address in addresses}
    undecided = {
        suffix for suffixes in suffixes_by_address.values() if not GOVERNMENT_DOMAINS & suffixes for suffix in suffixes
    }
    domains = GOVERNMENT_DOMAINS | await _organisation_domains(tx, undecided) if undecided else GOVERNMENT_DOMAINS
    return {address for address, suffixes in suffixes_by_address.items() if domains & suffixes}


async def is_government_address(tx: AsyncSession, address: str) -> bool:
    """Whether an address belongs to a public body, as `filter_government_addresses` decides."""
    return bool(await filter_government_addresses(tx, [address]))


async def _organisation_domains(tx: AsyncSession, domains: set[str]) -> set[str]:
    column = models.OrganisationDomain.domain
    parameter = bindparam("domains", sorted(domains), ARRAY(column.type))
    return set(await tx.scalars(select(column).where(column == any_(parameter))))


def domain_suffixes(address: str) -> list[str]:
    """The domain of an email address and its parent domains, the longest first, in lower case."""
    labels = address.rpartition("@")[2].lower().split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
