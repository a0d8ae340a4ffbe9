"""Asking everybody the same, of both executors, and what comes of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from graphql_api.auth.actors import Actor
from schema import schema
from tests import planner_comparison
from tests.matrix.audiences import Role
from tests.matrix.documents import Document
from tests.matrix.ground_truth import Truth
from tests.matrix.oracles import Oracle, differences
from tests.matrix.worlds import World

PLANNED = (
    "owner",
    "member without permissions",
    "member with VIEW_ACTIVITY",
    "member of the other tenant",
    "person of the organisation",
    "platform admin",
    "live key",
    "test key",
)
"""Who is answered by plans too: one or two for each text that a statement may have."""


@dataclass
class Found:
    """What asking everybody found."""

    cells: set[tuple[str, ...]] = field(default_factory=set)
    planned: set[tuple[str, ...]] = field(default_factory=set)
    faults: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def kinds(self) -> Counter[str]:
        """How many differences of each kind."""
        return Counter(fault[0] for fault in self.faults)


async def ask_everybody(
    world: World,
    truth: Truth,
    asked: Iterable[tuple[Document, list[dict[str, Any]]]],
    *,
    roles: Iterable[str] | None = None,
    planned: Iterable[str] = PLANNED,
) -> Found:
    """Ask each document of both executors, as each caller."""
    found = Found()
    for document, variables in asked:
        for role, actor in world.callers:
            if actor is None or (roles is not None and role.name not in roles):
                continue
            for given in variables:
                await _ask(world, truth, document, given, role, actor, found, plan=role.name in planned)
    return found


async def _ask(
    world: World,
    truth: Truth,
    document: Document,
    given: dict[str, Any],
    role: Role,
    actor: Actor,
    found: Found,
    *,
    plan: bool,
) -> None:
    expected = Oracle(truth, role).answer(document, **given)
    found.cells |= {(role.name, *cell) for cell in expected.cells}
    result = await schema.execute(document.text, given, context_value=world.as_seen_by(actor))
    errors = {tuple(error.path or ()): (error.extensions or {}).get("code") for error in result.errors or []}
    told = orjson.loads(orjson.dumps(result.data))
    where = (role.name, document.text[:90], given)
    found.faults += [(*one, *where) for one in differences(expected.data, told)]
    if errors != expected.errors:
        found.faults.append(("errors", expected.errors, errors, *where))
    if not plan or expected.errors or not actor.signed_in:
        return
    planned = await planner_comparison.planned(schema, document.text, given, world.as_seen_by(actor))
    if planned is not None:
        found.planned |= {(role.name, *cell) for cell in expected.cells}
        found.faults += [
            ("plan: " + one[0], *one[1:], *where) for one in differences(expected.data, orjson.loads(planned)["data"])
        ]


def note(what: str, found: Found, seconds: float) -> None:
    """Write down what was seen, where somebody wants to know."""
    if path := os.environ.get("MATRIX"):
        with Path(path).open("a") as log:
            log.write(
                f"{what}: {len(found.cells)} cells, {len(found.planned)} planned, {seconds:.1f} s, {found.kinds}\n"
            )
            log.writelines(f"   {fault}\n" for fault in found.faults[:400])
