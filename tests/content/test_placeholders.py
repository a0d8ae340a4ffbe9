"""Placeholders of a template, and their values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.content.placeholders import (
    Personalisation,
    Placeholder,
    TemplateText,
    find,
    format_bullet_list,
    format_inline_list,
    is_truthy,
    normalise,
)


def test_a_template_lists_its_placeholders_by_first_appearance_subject_before_body() -> None:
    assert find("((b)) ((a)) ((c??yes))", "About ((a))") == [
        Placeholder("a", conditional=False, conditional_text=None, in_subject=True),
        Placeholder("b", conditional=False, conditional_text=None, in_subject=False),
        Placeholder("c", conditional=True, conditional_text="yes", in_subject=False),
    ]


def test_a_name_is_listed_once_as_first_written() -> None:
    assert [placeholder.name for placeholder in find("((First Name)) ((first_name)) ((FIRST-NAME??x))")] == [
        "First Name"
    ]


def test_a_conditional_is_split_at_its_first_question_marks() -> None:
    assert find("((a??b??c))")[0].conditional_text == "b??c"


@pytest.mark.parametrize("text", ["(a)", "((a)", "(a))", "(())", "((a(b)))", "((a)b))", "( (a) )"])
def test_brackets_that_are_not_closed_or_that_nest_are_text(text: str) -> None:
    assert find(text) == []
    assert TemplateText(text).fill({"a": "x", "b": "x"}) == text


def test_a_third_bracket_is_text() -> None:
    assert TemplateText("(((a)))").fill({"a": "x"}) == "(x)"


@pytest.mark.parametrize(
    "name", ["first_name", "FIRST-NAME", " First Name ", "f i r s t name", "first\u00a0name\u200b"]
)
def test_names_match_regardless_of_case_spaces_hyphens_and_underscores(name: str) -> None:
    assert normalise(name) == "firstname"


@pytest.mark.parametrize("value", ["yes", "Y", "TRUE", "t", "1", "include", "Show", True, 1])
def test_some_values_are_truthy(value: object) -> None:
    assert is_truthy(value)
    assert TemplateText("a((b??c))").fill({"b": value}) == "ac"


@pytest.mark.parametrize("value", ["no", "", "2", "yes ", "on", False, 0, "false", [], ["yes"]])
def test_every_other_value_is_not_truthy(value: object) -> None:
    assert not is_truthy(value)
    assert TemplateText("a((b??c))").fill({"b": value}) == "a"


def test_null_is_missing_and_an_empty_text_is_a_value() -> None:
    assert TemplateText("((a))((b))((c??d))").fill({"a": None, "b": ""}) == "((a))((c??d))"


@pytest.mark.parametrize(
    ("value", "words", "bullets"),
    [
        ([], "", ""),
        ([None, " ", "\u200b"], "", ""),
        (["a"], "a", "\n\n* a"),
        (["a", "b"], "a and b", "\n\n* a\n* b"),
        (["a", None, " b ", 3], "a, b and 3", "\n\n* a\n* b\n* 3"),
    ],
)
def test_a_list_becomes_words_or_bullets_without_its_blank_members(
    value: list[object], words: str, bullets: str
) -> None:
    assert format_inline_list(value) == words
    assert format_bullet_list(value) == bullets


@pytest.mark.parametrize(("value", "shown"), [(1, "1"), (1.5, "1.5"), (True, "True"), ("((b))", "((b))"), ("", "")])
def test_values_are_shown_as_they_are_and_never_filled_again(value: object, shown: str) -> None:
    assert TemplateText("<((a))>").fill({"a": value, "b": "no"}) == f"<{shown}>"


def test_values_are_found_by_normalised_name() -> None:
    values = Personalisation({"First Name": "Zoë", "other-one": 1, "nothing": None})

    assert values.by_key == {"firstname": "Zoë", "otherone": 1, "nothing": None}
    assert values.unused(["firstname"]) == ["other-one", "nothing"]


def test_the_last_of_two_values_with_the_same_name_counts() -> None:
    assert Personalisation({"a b": 1, "A_B": 2}).by_key == {"ab": 2}


@given(st.text())
def test_a_text_without_values_is_unchanged(text: str) -> None:
    assert TemplateText(text).fill({}) == text


@given(st.lists(st.text(alphabet="ab()?", max_size=8), max_size=8).map("".join))
def test_every_placeholder_found_can_be_filled(text: str) -> None:
    template_text = TemplateText(text)

    filled = template_text.fill(dict.fromkeys(template_text.names_by_key, ""))

    assert len(filled) == len(text) - sum(len(occurrence.source) for occurrence in template_text.occurrences)
