# ruff: noqa: RUF001 - characters that look alike are what these tests are about
"""Messages: templates rendered with values, their problems, and the problems of templates."""

from __future__ import annotations

import pytest

from graphql_api.content import messages
from graphql_api.content.messages import CompiledTemplate, check_template, render
from graphql_api.content.problems import Problem
from graphql_api.content.sms import SmsCount
from graphql_api.enums import Channel, LengthUnit, LetterLanguages, SmsEncoding, UserErrorCode


def codes(problems: list[Problem]) -> list[UserErrorCode]:
    return [problem.code for problem in problems]


def test_a_text_message_is_rendered_with_all_details() -> None:
    rendered = render(
        Channel.SMS,
        subject=None,
        body="Dear ((first name)), bring ((things)).((late?? Hurry!))",
        personalisation={"FIRST_NAME": "Zoé", "things": ["pens", "ink", "paper"], "late": True, "other": 1},
        prefix="Town hall",
    )

    assert rendered == messages.RenderedContent(
        channel=Channel.SMS,
        subject=None,
        text="Town hall: Dear Zoé, bring pens, ink and paper. Hurry!",
        html=None,
        preheader=None,
        missing_placeholders=[],
        unused_personalisation=["other"],
        sms=SmsCount(43, 918, SmsEncoding.GSM7, 1),
        problems=[],
    )


def test_missing_values_are_named_as_written_in_the_template() -> None:
    rendered = render(Channel.EMAIL, subject="((B c))", body="((a))((d??e))((b_c))", personalisation={"a": None})

    assert rendered.missing_placeholders == ["B c", "a", "d"]
    assert rendered.subject == "((B c))"
    assert rendered.text == "((a))((d??e))((b_c))"
    assert rendered.problems == [
        Problem(
            UserErrorCode.MISSING_PERSONALISATION,
            "There is no value for ((B c)), ((a)), ((d)).",
            ("personalisation",),
            placeholders=("B c", "a", "d"),
        )
    ]


def test_a_redacted_message_shows_placeholders_and_no_values() -> None:
    values = {"name": "secret", "urgent": "yes", "also secret": "x"}
    body = "Dear ((name)),\n\n((urgent??Now))"

    for channel in (Channel.SMS, Channel.EMAIL, Channel.LETTER):
        rendered = render(channel, subject="For ((name))", body=body, personalisation=values, redact=True)

        assert rendered.text.endswith("Dear ((name)),\n\n((urgent??Now))")
        assert rendered.subject == (None if channel is Channel.SMS else "For ((name))")
        assert (rendered.missing_placeholders, rendered.unused_personalisation, rendered.problems) == ([], [], [])
        assert "secret" not in repr(rendered)


def test_a_text_message_may_have_918_characters_without_its_prefix() -> None:
    template = CompiledTemplate(Channel.SMS, subject=None, body="((a))", prefix="Service")

    assert template.inspect({"a": "x" * 918}).problems == []
    assert template.inspect({"a": "x" * 919}).problems == [
        Problem(
            UserErrorCode.MESSAGE_TOO_LONG,
            "The message has 919 characters, 1 more than the 918 it may have.",
            length=919,
            limit=918,
            unit=LengthUnit.CHARACTERS,
        )
    ]


def test_an_email_may_have_two_million_bytes_without_its_subject() -> None:
    template = CompiledTemplate(Channel.EMAIL, subject="((a))", body="((a))")

    assert template.inspect({"a": "é" * 1_000_000}).problems == []
    assert template.inspect({"a": "é" * 1_000_000 + "x"}).problems == [
        Problem(
            UserErrorCode.MESSAGE_TOO_LONG,
            "The message has 2,000,001 bytes, 1 more than the 2,000,000 it may have.",
            length=2_000_001,
            limit=2_000_000,
            unit=LengthUnit.BYTES,
        )
    ]


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("value", ["", " \n ", "\u200b", []])
def test_an_empty_message_is_refused(channel: Channel, value: object) -> None:
    rendered = render(channel, subject="s", body="((a))", personalisation={"a": value}, prefix="Service")

    assert codes(rendered.problems) == [UserErrorCode.MESSAGE_EMPTY]


def test_values_of_the_recipient_are_not_unused() -> None:
    values = {"phonenumber": "1", "email address": "2", "address_line_1": "3", "x": "4"}

    assert [
        render(channel, subject="s", body="b", personalisation=values).unused_personalisation for channel in Channel
    ] == [
        ["phonenumber", "address_line_1", "x"],
        ["email address", "address_line_1", "x"],
        ["phonenumber", "email address", "x"],
    ]


def test_several_problems_are_reported_together() -> None:
    rendered = render(Channel.SMS, subject=None, body="((a))((b))", personalisation={"a": "x" * 1000})

    assert codes(rendered.problems) == [UserErrorCode.MISSING_PERSONALISATION, UserErrorCode.MESSAGE_TOO_LONG]


def test_a_list_is_bullets_in_a_body_and_words_in_a_subject() -> None:
    rendered = render(
        Channel.EMAIL, subject="For ((who))", body="For:((who))", personalisation={"who": ["a", "b", "c"]}
    )

    assert rendered.subject == "For a, b and c"
    assert rendered.text == "For:\n\n• a\n• b\n• c"


def test_a_subject_stands_on_one_line_and_is_tidied() -> None:
    rendered = render(Channel.EMAIL, subject='A \n "((b))"  - now', body="x", personalisation={"b": "c\u200b"})

    assert rendered.subject == "A “c” – now"


def test_a_letter_in_two_languages_has_its_welsh_pages_first() -> None:
    rendered = render(
        Channel.LETTER,
        subject="Hello",
        body="Dear ((name))",
        welsh_subject="Helo",
        welsh_body="Annwyl ((name)) ((dyddiad))",
        personalisation={"name": "Siân"},
    )

    assert rendered.text == "Helo\n\nAnnwyl Siân ((dyddiad))\n\nHello\n\nDear Siân"
    assert rendered.missing_placeholders == ["dyddiad"]
    assert (rendered.html, rendered.preheader, rendered.sms) == (None, None, None)


def test_a_compiled_template_renders_many_messages() -> None:
    template = CompiledTemplate(Channel.SMS, subject="ignored ((x))", body="Hi ((Name))", prefix="S")

    assert template.placeholders == ["Name"]
    assert template.render_sms({"name": "A"})[0] == "S: Hi A"
    assert template.render_sms({"name": "B"})[0] == "S: Hi B"
    assert template.inspect({"name": None}).sms == SmsCount(11, 918, SmsEncoding.GSM7, 1)


def test_a_good_template_can_be_saved() -> None:
    assert check_template(Channel.SMS, "n" * 255, None, "x" * 918) == []
    assert check_template(Channel.EMAIL, "n", "s", "b" * 2_000_000) == []
    assert check_template(Channel.LETTER, "n", "s", "b") == []


@pytest.mark.parametrize("channel", list(Channel))
@pytest.mark.parametrize("blank", ["", " \n", "\u00a0\u200b"])
def test_a_template_needs_all_its_parts(channel: Channel, blank: str) -> None:
    problems = check_template(channel, blank, blank, blank)

    subject = [] if channel is Channel.SMS else [(UserErrorCode.REQUIRED, ("subject",))]
    assert [(problem.code, problem.path) for problem in problems] == [
        (UserErrorCode.REQUIRED, ("name",)),
        *subject,
        (UserErrorCode.REQUIRED, ("body",)),
    ]


def test_a_templates_name_and_body_have_limits() -> None:
    problems = check_template(Channel.SMS, "n" * 256, None, "((name))" + "x" * 911)

    assert [(problem.code, problem.path, problem.length, problem.limit) for problem in problems] == [
        (UserErrorCode.TOO_LONG, ("name",), 256, 255),
        (UserErrorCode.MESSAGE_TOO_LONG, ("body",), 919, 918),
    ]


def test_a_template_cannot_have_characters_that_the_database_cannot_store() -> None:
    problems = check_template(Channel.EMAIL, "n\0", "s\ud800", "b\0")

    assert [(problem.code, problem.path) for problem in problems] == [
        (UserErrorCode.INVALID, ("name",)),
        (UserErrorCode.INVALID, ("subject",)),
        (UserErrorCode.INVALID, ("body",)),
    ]


def test_a_letter_in_two_languages_needs_both_welsh_parts() -> None:
    problems = check_template(Channel.LETTER, "n", "s", "b", languages=LetterLanguages.WELSH_THEN_ENGLISH)

    assert [(problem.code, problem.path) for problem in problems] == [
        (UserErrorCode.REQUIRED, ("welshSubject",)),
        (UserErrorCode.REQUIRED, ("welshBody",)),
    ]


def test_only_letters_in_two_languages_have_welsh_text() -> None:
    for channel in Channel:
        problems = check_template(channel, "n", "s", "b", welsh_body="c")

        assert [(problem.code, problem.path) for problem in problems] == [(UserErrorCode.INVALID, ("welshBody",))]
