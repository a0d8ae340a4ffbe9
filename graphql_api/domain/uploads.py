"""Uploads: lists of recipients, uploaded before the job that uses them, and stored for a day."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import delete, select

from graphql_api import models
from graphql_api.domain.recipient_sources import check_file_name, upload_path
from graphql_api.domain.sends import PERMISSION_BY_CHANNEL
from graphql_api.enums import UserErrorCode
from graphql_api.errors import Forbidden, Invalid, Unauthenticated
from graphql_api.recipients import csv_files
from graphql_api.recipients.lists import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.domain.transactions import TransactionFactory
    from graphql_api.gateways.object_store import Store

UPLOAD_LIFETIME = timedelta(days=1)
_MAX_CONCURRENT_READS = 2
"""Lists that are in memory at once, while their rows are counted."""

_read_semaphore = asyncio.Semaphore(_MAX_CONCURRENT_READS)


async def receive(
    transaction: TransactionFactory,
    actor: Actor,
    store: Store,
    *,
    chunks: AsyncIterable[bytes],
    max_bytes: int,
    file_name: str | None = None,
) -> models.Upload:
    """Store a list as it is received, then count its rows; an error leaves nothing behind.

    Raises `Invalid`: FILE_TOO_LARGE, FILE_UNREADABLE (with row and column), FILE_EMPTY or TOO_MANY_ROWS.
    """
    _require_can_send(actor)
    if file_name is not None:
        check_file_name(file_name, "file_name")
    upload_id = uuid4()
    path = upload_path(upload_id)
    stream = _SizeLimitedStream(chunks, max_bytes)
    await store.put(path, stream.chunks())
    try:
        async with _read_semaphore:
            row_count = await asyncio.to_thread(_count_rows, await store.get(path))
        upload = models.Upload(
            id=upload_id,
            user_id=None if actor.api_key_id else actor.user_id,
            api_key_id=actor.api_key_id,
            file_name=file_name,
            byte_count=stream.total_bytes,
            row_count=row_count,
            expires_at=models.utcnow() + UPLOAD_LIFETIME,
        )
        async with transaction() as tx:
            tx.add(upload)
    except BaseException:
        await store.delete(path)
        raise
    return upload


async def delete_expired(tx: AsyncSession) -> list[str]:
    """Delete expired uploads, at most 1,000; returns the paths of their files, to be deleted after the commit."""
    upload = models.Upload
    expired = (
        select(upload.id).where(upload.expires_at <= models.utcnow()).limit(1_000).with_for_update(skip_locked=True)
    )
    deleted = await tx.execute(delete(upload).where(upload.id.in_(expired)).returning(upload.id))
    return [upload_path(upload_id) for upload_id in deleted.scalars()]


def _require_can_send(actor: Actor) -> None:
    """Raise `Unauthenticated`, or `Forbidden` for a caller who can send in no service."""
    if not actor.signed_in:
        raise Unauthenticated
    if not any(actor.service_ids(permission) for permission in PERMISSION_BY_CHANNEL.values()):
        raise Forbidden(next(iter(PERMISSION_BY_CHANNEL.values())).name)


class _SizeLimitedStream:
    """Chunks, whose bytes are counted as they are read; raises `Invalid` above the limit."""

    def __init__(self, chunks: AsyncIterable[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.total_bytes = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.total_bytes += len(chunk)
            if self.total_bytes > self._max_bytes:
                raise too_large_error(self._max_bytes)
            if chunk:
                yield chunk


def too_large_error(max_bytes: int) -> Invalid:
    """The error for a list above the limit."""
    return Invalid(f"A list can have at most {max_bytes:,} bytes.", code=UserErrorCode.FILE_TOO_LARGE)


def _count_rows(content: bytes) -> int:
    """The number of rows, without the header and empty rows at the end. Raises `Invalid`."""
    count = last = -1
    try:
        for record in csv_files.records(content):
            if count < 0 and not any(record):
                continue
            count += 1
            if any(record):
                last = count
            if last > MAX_ROWS:
                message = f"A list can have at most {MAX_ROWS:,} rows."
                raise Invalid(message, code=UserErrorCode.TOO_MANY_ROWS)
    except csv_files.FileError as error:
        raise Invalid(error.message, code=error.code) from error
    if last < 1:
        raise Invalid("The list has no rows.", code=UserErrorCode.FILE_EMPTY)
    return last
