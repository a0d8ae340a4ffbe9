"""Personalisation: checks of values."""

from __future__ import annotations

import pytest

from graphql_api.content import values
from graphql_api.enums import UserErrorCode


@pytest.mark.parametrize(
    "value",
    [None, {}, {"a": "b"}, {"a": 1, "b": 1.5, "c": True, "d": None, "e": ["x", 1, None, False]}, {"": ""}, {"😀": "é"}],
)
def test_scalars_and_lists_of_scalars_are_values(value: object) -> None:
    assert values.check(value) == []


@pytest.mark.parametrize("value", [[], "a", 1, True, [{"a": 1}]])
def test_personalisation_is_an_object(value: object) -> None:
    assert [(problem.code, problem.path) for problem in values.check(value)] == [(UserErrorCode.INVALID, ())]


@pytest.mark.parametrize(
    ("value", "code", "path"),
    [
        ({"a": {}}, UserErrorCode.INVALID, ("a",)),
        ({"a": [[]]}, UserErrorCode.INVALID, ("a", "0")),
        ({"a": ["x", {}]}, UserErrorCode.INVALID, ("a", "1")),
        ({"a": "b\0"}, UserErrorCode.INVALID, ("a",)),
        ({"a": ["\ud800"]}, UserErrorCode.INVALID, ("a", "0")),
        ({"a\0": 1}, UserErrorCode.INVALID, ()),
        ({"\udfff": 1}, UserErrorCode.INVALID, ()),
        ({"a": float("nan")}, UserErrorCode.OUT_OF_RANGE, ("a",)),
        ({"a": float("inf")}, UserErrorCode.OUT_OF_RANGE, ("a",)),
        ({"a": -(10**20)}, UserErrorCode.OUT_OF_RANGE, ("a",)),
        ({"a": 10**5000}, UserErrorCode.OUT_OF_RANGE, ("a",)),
        ({"a": b"x"}, UserErrorCode.INVALID, ("a",)),
        ({"a": ["x"] * 1001}, UserErrorCode.TOO_LONG, ("a",)),
        ({str(key): 1 for key in range(1001)}, UserErrorCode.TOO_LONG, ()),
    ],
)
def test_other_values_are_refused_with_their_path(value: object, code: UserErrorCode, path: tuple[str, ...]) -> None:
    assert [(problem.code, problem.path) for problem in values.check(value)] == [(code, path)]


def test_every_invalid_value_is_reported() -> None:
    assert len(values.check({"a": {}, "b": "\0", "c": 1, "d": [{}, {}]})) == 4


def test_a_thousand_values_are_allowed() -> None:
    assert values.check({str(key): ["x"] * 1000 for key in range(1000)}) == []
