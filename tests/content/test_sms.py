# ruff: noqa: RUF001 - characters that look alike are what these tests are about
"""Text messages: white space, alphabets and fragments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.content import sms
from graphql_api.content.sms import ReplacedCharacter, count, measure
from graphql_api.enums import SmsEncoding


@pytest.mark.parametrize(
    ("length", "fragments"),
    [
        (0, 1),
        (1, 1),
        (160, 1),
        (161, 2),
        (306, 2),
        (307, 3),
        (459, 3),
        (460, 4),
        (612, 4),
        (765, 5),
        (766, 6),
        (918, 6),
    ],
)
def test_a_gsm7_message_has_160_characters_or_fragments_of_153(length: int, fragments: int) -> None:
    sms_count = count("a" * length)

    assert (sms_count.character_count, sms_count.fragment_count) == (length, fragments)
    assert sms_count.encoding is SmsEncoding.GSM7


@pytest.mark.parametrize(
    ("length", "fragments"),
    [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4), (918, 14)],
)
def test_a_ucs2_message_has_70_characters_or_fragments_of_67(length: int, fragments: int) -> None:
    sms_count = count("ŵ" * length)

    assert (sms_count.character_count, sms_count.fragment_count) == (length, fragments)
    assert sms_count.encoding is SmsEncoding.UCS2


@pytest.mark.parametrize("character", list("^{}\\[~]|€"))
def test_extension_characters_take_two_septets_but_count_once(character: str) -> None:
    assert count(character * 80)[:4] == (80, 918, SmsEncoding.GSM7, 1)
    assert count(character * 81)[:4] == (81, 918, SmsEncoding.GSM7, 2)
    assert count("a" * 159 + character).fragment_count == 2


def test_extension_characters_take_one_code_unit_in_ucs2() -> None:
    assert count("ŵ" + "€" * 69).fragment_count == 1


@pytest.mark.parametrize("letter", list("ŵŷẃẁẅỳÿŴŶẂẀẄỲŸÝáâêëíîïóôúûýÁÂÊËÍÎÏÓÔÚÛÀÈÌÒÙ"))
def test_a_welsh_letter_outside_the_alphabet_makes_the_message_ucs2(letter: str) -> None:
    text, sms_count = measure(f"a{letter}b")

    assert text == f"a{letter}b"
    assert sms_count == (3, 918, SmsEncoding.UCS2, 1, ())


@pytest.mark.parametrize("letter", list("àäéèìòöùüÄÉÖÜñÑøØåÅæÆßÇ£$¥@_§¿¡ΔΦΓΛΩΠΨΣΘΞ¤"))
def test_a_letter_of_the_alphabet_is_kept(letter: str) -> None:
    assert measure(letter) == (letter, (1, 918, SmsEncoding.GSM7, 1, ()))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("ç", "c"), ("ł", "l"), ("ő", "o"), ("Š", "S"), ("ế", "e"), ("đ", "d"), ("ž", "z"),
        ("–", "-"), ("—", "-"), ("‑", "-"), ("−", "-"),
        ("‘", "'"), ("’", "'"), ("‚", "'"), ("`", "'"), ("“", '"'), ("”", '"'), ("„", '"'),
        ("…", "..."),
        ("漢", "?"), ("👍", "?"), ("₿", "?"), ("ж", "?"), ("½", "?"),
    ],
)  # fmt: skip
def test_other_characters_become_the_nearest_plain_ones(written: str, sent: str) -> None:
    assert measure(f"a{written}b") == (
        f"a{sent}b",
        (2 + len(sent), 918, SmsEncoding.GSM7, 1, (ReplacedCharacter(written, sent),)),
    )


def test_an_emoji_does_not_make_a_message_ucs2() -> None:
    assert measure("Well done 👍🏽!")[0] == "Well done ??!"
    assert count("👍" * 160)[:4] == (160, 918, SmsEncoding.GSM7, 1)


@pytest.mark.parametrize("hidden", list("\u180e\u200b\u200c\u200d\u2060\ufeff\u00ad\u0301\ufe0f"))
def test_zero_width_characters_are_removed(hidden: str) -> None:
    assert measure(f"x{hidden}z") == ("xz", (2, 918, SmsEncoding.GSM7, 1, ()))


def test_a_letter_typed_as_two_characters_counts_as_one() -> None:
    assert measure("Zoe\u0308") == ("Zoë", (3, 918, SmsEncoding.UCS2, 1, ()))
    assert measure("e\u0301") == ("é", (1, 918, SmsEncoding.GSM7, 1, ()))


def test_each_replaced_character_is_named_once() -> None:
    assert count("“a” “b” 👍👍").replaced_characters == (
        ReplacedCharacter("“", '"'),
        ReplacedCharacter("”", '"'),
        ReplacedCharacter("👍", "?"),
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("a  b   c", "a b c"),
        ("a\tb\u00a0c\u202fd\u2003e", "a b c d e"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a\n \n \nb", "a\n\nb"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("  a  \n  b  ", "a\nb"),
        ("\n\na\n\n", "a"),
        ("a , b .", "a, b."),
        ("a   . b", "a. b"),
        ("a\n. b", "a\n. b"),
        (" ", ""),
    ],
)
def test_white_space_is_tidied(written: str, sent: str) -> None:
    assert measure(written)[0] == sent


def test_the_prefix_counts_in_fragments_but_not_in_characters() -> None:
    text, sms_count = measure("a" * 160, "My service")

    assert text == "My service: " + "a" * 160
    assert (sms_count.character_count, sms_count.fragment_count) == (160, 2)


def test_a_welsh_letter_in_the_prefix_makes_the_message_ucs2() -> None:
    assert count("a", "Cyngor y Tŷ").encoding is SmsEncoding.UCS2


def test_the_prefix_is_in_the_alphabet_too() -> None:
    assert measure(". a", "Łódź – service")[0] == "Lódz - service:. a"


@given(st.text(max_size=200), st.none() | st.text(max_size=20))
def test_only_the_alphabet_is_sent(text: str, prefix: str | None) -> None:
    sent, sms_count = measure(text, prefix)

    assert set(sent) <= sms.GSM7_BASIC_CHARACTERS | sms.GSM7_EXTENSION_CHARACTERS | sms.WELSH_UCS2_CHARACTERS
    assert (sms_count.encoding is SmsEncoding.UCS2) == bool(sms.WELSH_UCS2_CHARACTERS & set(sent))
    assert "  " not in sent
    assert "\n\n\n" not in sent


@given(st.text(max_size=200))
def test_normalising_is_idempotent(text: str) -> None:
    sent, sms_count = measure(text)

    assert measure(sent) == (sent, sms_count._replace(replaced_characters=()))
