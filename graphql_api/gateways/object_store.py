"""Files, in an object store: a local folder by default, S3 or its like by setting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from obstore.store import LocalStore, from_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator

    from obstore.store import ObjectStore

    from graphql_api.settings import Settings

CHUNK_BYTES = 1 << 18
"""Bytes of a piece, about, when a file is read piece by piece."""


class Store:
    """Files by path, each whole or not there at all. Reading one that is not there raises FileNotFoundError.

    The calls run in threads: the library's own asynchronous ones can abort a process that ends right after them.
    """

    def __init__(self, objects: ObjectStore) -> None:
        """Take an object store as it is; `connect` makes one from settings."""
        self._objects = objects

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """The store of OBJECT_STORE_URL, such as `s3://bucket/prefix` or `memory://`; else a folder of the data."""
        if settings.object_store_url:
            return cls(from_url(settings.object_store_url))
        return cls(LocalStore(settings.data_dir.absolute() / "objects", mkdir=True))

    async def put(self, path: str, content: bytes | AsyncIterable[bytes]) -> None:
        """Keep a file, in place of any that was there; when `content` raises, so does this, and nothing is kept."""
        source = content if isinstance(content, bytes) else _iterate_in_thread(content)
        await asyncio.to_thread(self._objects.put, path, source)

    async def get(self, path: str) -> bytes:
        """A whole file."""
        return await asyncio.to_thread(lambda: bytes(self._objects.get(path).bytes()))

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """A file, piece by piece."""
        found = await asyncio.to_thread(self._objects.get, path)
        pieces = iter(found.stream(CHUNK_BYTES))
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield bytes(piece)

    async def delete(self, path: str) -> None:
        """Throw a file away, if it is there."""
        try:
            await asyncio.to_thread(self._objects.delete, path)
        except FileNotFoundError:
            return

    async def exists(self, path: str) -> bool:
        """Whether a file is there."""
        try:
            await asyncio.to_thread(self._objects.head, path)
        except FileNotFoundError:
            return False
        return True


def _iterate_in_thread(content: AsyncIterable[bytes]) -> Iterator[bytes]:
    """What the loop produces, for a thread that asks piece by piece."""
    loop = asyncio.get_running_loop()
    pieces = aiter(content)

    async def following() -> bytes | None:
        return await anext(pieces, None)

    def pull() -> Iterator[bytes]:
        while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield piece

    return pull()
