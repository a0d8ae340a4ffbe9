"""Files in object stores: complete or not there at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.gateways.object_store import CHUNK_BYTES, Store
from graphql_api.settings import Settings


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = None if request.param == "folder" else "memory://"
    return Store.connect(Settings(data_dir=tmp_path, object_store_url=url))


async def test_a_file_is_read_as_it_was_written(store: Store) -> None:
    await store.put("a/list é.csv", b"1")
    await store.put("a/list é.csv", b"name\r\nZo\xc3\xab")

    assert await store.get("a/list é.csv") == b"name\r\nZo\xc3\xab"
    assert await store.exists("a/list é.csv")


async def test_a_file_is_written_and_read_as_a_stream(store: Store) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for letter in b"abc":
            yield bytes([letter]) * 3_000_000

    await store.put("big", chunks())

    read = [chunk async for chunk in store.stream("big")]
    assert b"".join(read) == b"a" * 3_000_000 + b"b" * 3_000_000 + b"c" * 3_000_000


async def test_a_stream_that_fails_leaves_no_file(store: Store) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put("half", chunks())

    assert not await store.exists("half")


async def test_a_missing_file_is_an_error(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        await store.get("nothing")
    with pytest.raises(FileNotFoundError):
        async for _ in store.stream("nothing"):
            pass
    await store.delete("nothing")
    assert not await store.exists("nothing")


async def test_a_file_can_be_deleted(store: Store) -> None:
    await store.put("a", b"1")
    await store.delete("a")

    assert not await store.exists("a")


async def test_a_path_cannot_leave_the_folder(tmp_path: Path) -> None:
    store = Store.connect(Settings(data_dir=tmp_path / "data"))

    with pytest.raises(ValueError, match=r"\.\."):
        await store.put("../../escaped", b"1")

    assert [path.name for path in tmp_path.rglob("*")] == ["data", "objects"]  # noqa: ASYNC240 - a handful


async def test_a_folder_streams_in_chunks(tmp_path: Path) -> None:
    store = Store.connect(Settings(data_dir=tmp_path))
    await store.put("big", b"x" * (3 * CHUNK_BYTES))

    assert max([len(chunk) async for chunk in store.stream("big")]) <= 2 * CHUNK_BYTES


def test_a_process_can_end_right_after_a_call(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from graphql_api.settings import Settings\n"
        "from graphql_api.gateways.object_store import Store\n"
        "store = Store.connect(Settings(data_dir=pathlib.Path(sys.argv[1])))\n"
        "asyncio.run(store.put('a', b'1')); asyncio.run(store.delete('a'))\n"
    )
    root = Path(__file__).resolve().parents[2]
    exit_codes = {
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False).returncode
        for _ in range(3)
    }

    assert exit_codes == {0}
