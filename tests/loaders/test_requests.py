"""Within a request, equal reads are done once, for all fields that wait for them."""

from __future__ import annotations

from tests.builders import Builders, platform_admin
from tests.conftest import Ask


async def test_a_field_that_fails_takes_nothing_from_others_who_wait_for_the_same(ask: Ask, make: Builders) -> None:
    answer = await ask(
        """{
            one: systemHealth {
                history(range: {from: "2020-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z"}) { takenAt }
                rowCountAlerts { table }
            }
            other: systemHealth { rowCountAlerts { table } }
        }""",
        by=platform_admin(await make.user()),
    )

    assert answer.error_codes == ["BAD_REQUEST"]
    assert answer.data == {"one": None, "other": {"rowCountAlerts": []}}
