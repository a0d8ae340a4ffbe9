"""Lists that are sent ahead of their jobs: streamed in, counted, kept for a day, for their senders alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text

from graphql_api import app, models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.domain import jobs, uploads
from graphql_api.enums import ServicePermission
from graphql_api.errors import NotFound
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.builders import Builders, api_key_actor, platform_admin, user_actor
from tests.conftest import Ask

GOOD = '\ufeffphone number,name\r\n07700900001,Zoë\r\n07700900002,"Åsa\r\n🎉"\r\n'.encode()


@pytest_asyncio.fixture
async def client(database: Database, settings: Settings, store: Store) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the whole application, in this process; a fault of the application would be raised here."""
    transport = httpx2.ASGITransport(app.create(settings, database=database, store=store))
    async with httpx2.AsyncClient(transport=transport, base_url="http://notify") as client:
        yield client


class Sent:
    """A service with a key, and whatever is kept of what is sent."""

    def __init__(self, client: httpx2.AsyncClient, database: Database, folder: Path) -> None:
        self.client = client
        self.database = database
        self.folder = folder
        self.token = ""

    async def post(self, content: Any, *, path: str = "/uploads", **headers: str) -> httpx2.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"content-type": "text/csv", "authorization": f"Bearer {self.token}"} | names
        return await self.client.post(path, content=content, headers=sent)

    def files(self) -> list[str]:
        objects = self.folder / "objects"
        return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())

    async def rows(self) -> list[Any]:
        async with self.database.read_connection() as connection:
            return list((await connection.execute(text("SELECT * FROM uploads"))).all())


@pytest.fixture
async def api_key(make: Builders, service: models.Service) -> models.ApiKey:
    return await make.api_key(service, secret="3b8a9a0e-52fc-4a0c-8f38-0a3e3c5d0c6f")


@pytest.fixture
def sent(client: httpx2.AsyncClient, database: Database, tmp_path: Path, api_key: models.ApiKey) -> Sent:
    made = Sent(client, database, tmp_path)
    made.token = f"key-{api_key.service_id}-3b8a9a0e-52fc-4a0c-8f38-0a3e3c5d0c6f"
    return made


async def test_a_list_is_kept_and_counted(sent: Sent, store: Store, api_key: models.ApiKey) -> None:
    before = models.utcnow()
    response = await sent.post(GOOD, path="/uploads?fileName=people.csv")

    upload_id = response.json()["id"]
    assert (response.status_code, response.headers["content-type"]) == (201, "application/json")
    assert response.json() == {"id": upload_id, "byteCount": len(GOOD), "rowCount": 2}
    assert sent.files() == [f"uploads/{upload_id}.csv"]
    assert await store.get(f"uploads/{upload_id}.csv") == GOOD
    (row,) = await sent.rows()
    assert (row.id, row.api_key_id, row.user_id) == (UUID(upload_id), api_key.id, None)
    assert (row.file_name, row.byte_count, row.row_count) == ("people.csv", len(GOOD), 2)
    assert before <= row.expires_at - timedelta(days=1) <= models.utcnow()


async def test_pieces_that_cut_a_character_in_two_are_one_list(sent: Sent) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for index in range(len(GOOD)):
            yield GOOD[index : index + 1]

    assert (await sent.post(pieces())).json()["rowCount"] == 2


@pytest.mark.parametrize(
    ("content", "status", "code", "message"),
    [
        (b"", 400, "FILE_EMPTY", "The list has no rows."),
        (b"phone number,name\n\n , \n", 400, "FILE_EMPTY", "The list has no rows."),
        (
            "name\nZo\xeb\n".encode("latin-1"),
            400,
            "FILE_UNREADABLE",
            "Row 2, column 1: The file is not in UTF-8. Save it as CSV in UTF-8.",
        ),
        ("name\nx\n".encode("utf-16"), 400, "FILE_UNREADABLE", "The file is in UTF-16. Save it as CSV in UTF-8."),
        (b"PK\x03\x04zip", 400, "FILE_UNREADABLE", "The file is a spreadsheet or an archive. Save it as CSV."),
        (b'a,b\n1,"x\n', 400, "FILE_UNREADABLE", "Row 2, column 2: A quotation mark is left open."),
        (b"a\n" + b"x\n" * 100_001, 413, "TOO_MANY_ROWS", "A list can have at most 100,000 rows."),
    ],
)
async def test_a_list_with_a_fault_is_not_kept(
    sent: Sent, content: bytes, status: int, code: str, message: str
) -> None:
    response = await sent.post(content)

    assert response.status_code == status
    assert response.json() == {"errors": [{"message": message, "extensions": {"code": code}}]}
    assert (sent.files(), await sent.rows()) == ([], [])


async def test_a_hundred_thousand_rows_are_a_list(sent: Sent) -> None:
    response = await sent.post(b"a\n" + b"x\n" * 100_000)

    assert response.json()["rowCount"] == 100_000


async def test_a_list_over_the_limit_is_refused_by_its_length_or_as_it_comes(sent: Sent, settings: Settings) -> None:
    told = b"x" * (settings.max_upload_bytes + 1)

    async def untold() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 1_000_000

    for content in (told, untold()):
        response = await sent.post(content)
        assert (response.status_code, response.json()["errors"][0]["extensions"]) == (413, {"code": "FILE_TOO_LARGE"})
    assert (sent.files(), await sent.rows()) == ([], [])


async def test_ten_megabytes_are_taken(sent: Sent, settings: Settings) -> None:
    row = b"07700900001," + b"x" * 987 + b"\n"
    content = b"phone number,name\n" + row * 9_999
    assert 9_990_000 < len(content) <= settings.max_upload_bytes

    assert (await sent.post(content)).json()["rowCount"] == 9_999


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "application/json"}, 415),
        ({"content_type": "text/csv; charset=iso-8859-1"}, 415),
        ({"content_type": "text/csv; charset=UTF-8"}, 201),
        ({"content_type": 'TEXT/CSV;charset="utf-8"'}, 201),
        ({"content_encoding": "gzip"}, 415),
        ({"authorization": "Bearer x.y.z"}, 401),
        ({"authorization": ""}, 401),
    ],
)
async def test_heads_of_requests_decide_what_is_kept(sent: Sent, headers: dict[str, str], status: int) -> None:
    response = await sent.post(GOOD, **headers)

    assert response.status_code == status
    assert len(sent.files()) == len(await sent.rows()) == (1 if status == 201 else 0)


async def test_other_methods_are_not_allowed(sent: Sent) -> None:
    assert (await sent.client.get("/uploads")).status_code == 405


async def test_a_file_name_can_be_too_long(sent: Sent) -> None:
    response = await sent.post(GOOD, path=f"/uploads?fileName={'x' * 256}")

    assert (response.status_code, response.json()["errors"][0]["extensions"]) == (400, {"code": "TOO_LONG"})
    assert sent.files() == []


async def receive(database: Database, store: Store, actor: Actor, content: bytes = GOOD) -> models.Upload:
    """Send a list as somebody."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    return await uploads.receive(
        database.transaction, actor, store, chunks=pieces(), max_bytes=1_000_000, file_name="people.csv"
    )


async def test_whoever_sends_nothing_uploads_nothing(
    make: Builders, database: Database, store: Store, service: models.Service, sent: Sent
) -> None:
    user = await make.member(service)

    for actor in (
        user_actor(user, service, permissions=[ServicePermission.VIEW_ACTIVITY, ServicePermission.MANAGE_TEMPLATES]),
        platform_admin(user),
    ):
        with pytest.raises(Exception, match="SEND_TEXTS"):
            await receive(database, store, actor)
    assert sent.files() == []


CREATE = """
mutation ($input: CreateJobInput!) {
  createJob(input: $input) {
    job { fileName recipientCount }
    userErrors { __typename code path }
  }
}
"""


async def test_a_job_is_made_of_an_upload_by_its_sender_alone(
    make: Builders, ask: Ask, database: Database, store: Store, service: models.Service, sent: Sent
) -> None:
    template = await make.template(service)
    user, colleague = await make.member(service), await make.member(service)
    upload = await receive(database, store, user_actor(user, service))

    async def create(actor: Actor, upload_id: Any) -> Any:
        asked = {"serviceId": str(service.id), "templateId": str(template.id), "source": {"uploadId": str(upload_id)}}
        return (await ask(CREATE, by=actor, input=asked)).root_field

    made = await create(user_actor(user, service), upload.id)
    assert made == {"job": {"fileName": "people.csv", "recipientCount": 2}, "userErrors": []}
    not_found = [{"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["input", "source", "uploadId"]}]
    for actor, upload_id in (
        (user_actor(colleague, service), upload.id),
        (api_key_actor(await make.api_key(service)), upload.id),
        (user_actor(user, service), uuid4()),
        (user_actor(user, service), "x"),
    ):
        assert await create(actor, upload_id) == {"job": None, "userErrors": not_found}
    assert len(sent.files()) == 2


async def test_an_upload_expires_after_a_day(
    make: Builders, database: Database, store: Store, service: models.Service, sent: Sent
) -> None:
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)
    old, new = await receive(database, store, actor), await receive(database, store, actor)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE uploads SET expires_at = timezone('utc', now()) WHERE id = :id"), {"id": old.id})

    asked = jobs.JobRequest(template_id=template.id, service_id=service.id, source={"upload_id": old.id})
    with pytest.raises(NotFound):
        await jobs.create(database.transaction, actor, store, asked)
    async with database.transaction() as tx:
        gone = await uploads.delete_expired(tx)

    assert gone == [f"uploads/{old.id}.csv"]
    assert [row.id for row in await sent.rows()] == [new.id]


async def test_a_list_that_breaks_off_is_not_kept(
    make: Builders, sent: Sent, database: Database, store: Store, service: models.Service
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield GOOD
        raise ConnectionResetError

    actor = user_actor(await make.member(service), service)
    with pytest.raises(ConnectionResetError):
        await uploads.receive(database.transaction, actor, store, chunks=broken(), max_bytes=1_000)

    assert (sent.files(), await sent.rows()) == ([], [])
