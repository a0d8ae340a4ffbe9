"""A job, from its creation to the last delivered message."""

from __future__ import annotations

import pytest

from graphql_api.domain.jobs import JobRequest, create
from graphql_api.enums import Channel
from tests.builders import user_actor
from tests.worker.harnesses import WorkerHarness

NAMES = ("Zoë", "Siân Ŵyn", "O'Neil, Ann", 'Jo "Jo" Day', "Renée 🎉", "Two\r\nlines", "  Ada  ", "İlker", "Łukasz")


def _list(rows: int) -> str:
    """A list as a spreadsheet exports it: BOM, Windows line ends, accents, emoji, quoted line breaks."""
    lines = ["\ufeffEmail Address,Name,Day"]
    for n in range(rows):
        name = NAMES[n % len(NAMES)].replace('"', '""')
        lines.append(f'p{n}@example.com,"{name}",Monday {n}')
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("rows", [10_000])
async def test_a_list_of_a_spreadsheet_is_delivered(harness: WorkerHarness, rows: int) -> None:
    service = await harness.make.service()
    user = await harness.make.member(service)
    template = await harness.make.template(
        service, Channel.EMAIL, subject="For ((name))", content="Dear ((name))\n\nSee you on ((day))."
    )
    csv = {"csv": {"file_name": "people.csv", "content": _list(rows)}}
    request = JobRequest(template_id=template.id, service_id=service.id, source=csv)
    totals: list[tuple[int, int]] = []

    async with harness.run_worker():
        job = await create(harness.database.transaction, user_actor(user, service), harness.store, request)

        async def ended() -> bool:
            statuses = await harness.message_statuses(job.id)
            totals.append((sum(statuses.values()), statuses.get("delivered", 0)))
            return statuses == {"delivered": rows}

        await harness.wait_until(ended)

    assert await harness.job_status(job.id) == "finished all notifications created"
    assert totals == sorted(totals)  # counts never decrease
    assert len(harness.sent_ids()) == len(set(harness.sent_ids())) == rows
    messages = await harness.fetch_rows(
        'SELECT "to", _personalisation FROM notifications WHERE job_id = :id AND job_row_number < 9 '
        "ORDER BY job_row_number",
        id=job.id,
    )
    assert [harness.signer.unsign(row["_personalisation"]) for row in messages] == [
        {"emailaddress": f"p{n}@example.com", "name": name.strip().replace("\r\n", "\n"), "day": f"Monday {n}"}
        for n, name in enumerate(NAMES)
    ]
