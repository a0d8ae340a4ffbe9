"""Names as parts of email addresses and API keys."""

import pytest

from graphql_api.content import names


@pytest.mark.parametrize(
    ("name", "local_part"),
    [
        ("GOV.UK Notify", "gov.uk.notify"),
        ("  Peer service 8f099e ", "peer.service.8f099e"),
        ("Café & Parking\tpermits", "cafe.parking.permits"),
        ("...", ""),
        ("Bins — north/south", "bins.northsouth"),
        ("_archived_2026-11-20-15:00:00_Permits", "archived20261120150000permits"),
    ],
)
def test_a_local_part_is_lower_case_letters_digits_and_single_dots(name: str, local_part: str) -> None:
    assert names.local_part(name) == local_part


def test_an_api_key_prefix_has_underscores_for_spaces() -> None:
    assert names.api_key_prefix(" Our  Café-Key no. 1 ") == "our_cafekey_no_1"


@pytest.mark.parametrize(("name", "is_valid"), [("A1", True), ("é ß", True), ("A!", False), ("", False)])
def test_two_letters_or_digits_make_a_name(name: str, is_valid: bool) -> None:
    assert names.has_two_alphanumerics(name) is is_valid
