"""Runs documents for every role, by both executors, and compares the responses with the expected ones."""

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
from tests.matrix.ground_truth import GroundTruth
from tests.matrix.oracles import Oracle, differences
from tests.matrix.worlds import World

PLANNED_ROLES = (
    "owner",
    "member without permissions",
    "member with VIEW_ACTIVITY",
    "member of the other tenant",
    "person of the organisation",
    "platform admin",
    "live key",
    "test key",
)
"""Roles that the planner executes too: one or two for each text of a statement."""


@dataclass
class MatrixResult:
    """The results of a run."""

    cells: set[tuple[str, ...]] = field(default_factory=set)
    planned_cells: set[tuple[str, ...]] = field(default_factory=set)
    mismatches: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def counts_by_kind(self) -> Counter[str]:
        """The number of differences of each kind."""
        return Counter(fault[0] for fault in self.mismatches)


async def run_for_every_role(
    world: World,
    truth: GroundTruth,
    cases: Iterable[tuple[Document, list[dict[str, Any]]]],
    *,
    roles: Iterable[str] | None = None,
    planned_roles: Iterable[str] = PLANNED_ROLES,
) -> MatrixResult:
    """Execute each document by both executors, as each role."""
    matrix_result = MatrixResult()
    for document, variables in cases:
        for role, actor in world.callers:
            if actor is None or (roles is not None and role.name not in roles):
                continue
            for case_variables in variables:
                await _run_case(
                    world, truth, document, case_variables, role, actor, matrix_result, plan=role.name in planned_roles
                )
    return matrix_result


async def _run_case(
    world: World,
    truth: GroundTruth,
    document: Document,
    variables: dict[str, Any],
    role: Role,
    actor: Actor,
    matrix_result: MatrixResult,
    *,
    plan: bool,
) -> None:
    expected = Oracle(truth, role).expect(document, **variables)
    matrix_result.cells |= {(role.name, *cell) for cell in expected.cells}
    result = await schema.execute(document.text, variables, context_value=world.context_for(actor))
    errors = {tuple(error.path or ()): (error.extensions or {}).get("code") for error in result.errors or []}
    data = orjson.loads(orjson.dumps(result.data))
    where = (role.name, document.text[:90], variables)
    matrix_result.mismatches += [(*difference, *where) for difference in differences(expected.data, data)]
    if errors != expected.errors:
        matrix_result.mismatches.append(("errors", expected.errors, errors, *where))
    if not plan or expected.errors or not actor.signed_in:
        return
    planned = await planner_comparison.planner_response(schema, document.text, variables, world.context_for(actor))
    if planned is not None:
        matrix_result.planned_cells |= {(role.name, *cell) for cell in expected.cells}
        matrix_result.mismatches += [
            ("plan: " + difference[0], *difference[1:], *where)
            for difference in differences(expected.data, orjson.loads(planned)["data"])
        ]


def append_summary(title: str, matrix_result: MatrixResult, seconds: float) -> None:
    """Append a summary to the file of the environment variable, if it is set."""
    if path := os.environ.get("MATRIX"):
        with Path(path).open("a") as log:
            log.write(
                f"{title}: {len(matrix_result.cells)} cells, {len(matrix_result.planned_cells)} planned, "
                f"{seconds:.1f} s, {matrix_result.counts_by_kind}\n"
            )
            log.writelines(f"   {fault}\n" for fault in matrix_result.mismatches[:400])
