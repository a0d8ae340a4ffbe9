"""The search finds secrets."""

import base64

import pytest

from tests.canaries.secrets import Canaries


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_secret_is_found_as_it_is_and_in_base_64(before: str) -> None:
    canaries = Canaries()
    value = canaries.text("one")
    canaries.text("other")

    assert canaries.find_in([f"... {before}{value}!"]) == {"one"}
    assert canaries.find_in([base64.b64encode(f"{before}{value}, or so".encode()).decode()]) == {"one"}
    assert canaries.find_in(["nothing"]) == set()


def test_the_change_log_has_names_but_no_personal_data() -> None:
    canaries = Canaries()
    for what in ("createService.name", "registerUser.password", "sendNotification.personalisation.name"):
        canaries.text(what)

    assert set(canaries.excluding_logged_arguments().values) == {
        "registerUser.password",
        "sendNotification.personalisation.name",
    }
