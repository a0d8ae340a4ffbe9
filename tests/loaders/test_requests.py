"""Within a request, equal reads are done once, for all fields that wait for them."""

from __future__ import annotations

from tests.builders import Builders, platform_admin
from tests.conftest import Ask


async def test_a_failing_field_does_not_cancel_a_read_that_others_wait_for(ask: Ask, make: Builders) -> None:
    answer = await ask(
        """{
            first: systemHealth {
                history(range: {from: "2020-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z"}) { takenAt }
                rowCountAlerts { table }
            }
            other: systemHealth { rowCountAlerts { table } }
        }""",
        by=platform_admin(await make.user()),
    )

    assert answer.error_codes == ["BAD_REQUEST"]
    assert answer.data == {"first": None, "other": {"rowCountAlerts": []}}
