"""Files in an object store: a local folder by default; S3 and similar by setting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from obstore.store import LocalStore, from_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator

    from obstore.store import ObjectStore

    from graphql_api.settings import Settings

CHUNK_BYTES = 1 << 18
"""Approximate size of the chunks of a stream."""


class Store:
    """Files by path; a file is written completely or not at all. Reading a missing file raises FileNotFoundError.

    Calls run in threads, because the asynchronous ones of obstore can abort a process that ends right after them.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """The store of OBJECT_STORE_URL, such as `s3://bucket/prefix` or `memory://`; or a folder in DATA_DIR."""
        if settings.object_store_url:
            return cls(from_url(settings.object_store_url))
        return cls(LocalStore(settings.data_dir.absolute() / "objects", mkdir=True))

    async def put(self, path: str, content: bytes | AsyncIterable[bytes]) -> None:
        """Write a file, replacing an existing one; an error raised by `content` is raised, and nothing is written."""
        source = content if isinstance(content, bytes) else _iterate_in_thread(content)
        await asyncio.to_thread(self._objects.put, path, source)

    async def get(self, path: str) -> bytes:
        """Read a file."""
        return await asyncio.to_thread(lambda: bytes(self._objects.get(path).bytes()))

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """Read a file in chunks."""
        file = await asyncio.to_thread(self._objects.get, path)
        chunks = iter(file.stream(CHUNK_BYTES))
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield bytes(chunk)

    async def delete(self, path: str) -> None:
        """Delete a file if it exists."""
        try:
            await asyncio.to_thread(self._objects.delete, path)
        except FileNotFoundError:
            return

    async def exists(self, path: str) -> bool:
        """Whether a file exists."""
        try:
            await asyncio.to_thread(self._objects.head, path)
        except FileNotFoundError:
            return False
        return True


def _iterate_in_thread(content: AsyncIterable[bytes]) -> Iterator[bytes]:
    """Iterate, in another thread, over what the running event loop produces."""
    loop = asyncio.get_running_loop()
    chunks = aiter(content)

    async def next_chunk() -> bytes | None:
        return await anext(chunks, None)

    def iterate() -> Iterator[bytes]:
        while (chunk := asyncio.run_coroutine_threadsafe(next_chunk(), loop).result()) is not None:
            yield chunk

    return iterate()
