"""Uploads: lists that are sent ahead of the job that will use them, kept for a day."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import delete, select

from graphql_api import models
from graphql_api.domain.recipient_sources import check_file_name, upload_path
from graphql_api.domain.sends import PERMISSIONS
from graphql_api.enums import UserErrorCode
from graphql_api.errors import Forbidden, Invalid, Unauthenticated
from graphql_api.recipients import csv_files
from graphql_api.recipients.lists import MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.domain.recipients import Transaction
    from graphql_api.gateways.object_store import Store

KEPT_FOR = timedelta(days=1)
_READ_AT_ONCE = 2
"""Lists that are held in memory at a time, to be counted."""

_reading = asyncio.Semaphore(_READ_AT_ONCE)


async def receive(
    transaction: Transaction,
    actor: Actor,
    store: Store,
    *,
    pieces: AsyncIterable[bytes],
    most_bytes: int,
    file_name: str | None = None,
) -> models.Upload:
    """Keep a list as it comes in, piece by piece, then count its rows; what is refused leaves nothing.

    Raises `Invalid`: FILE_TOO_LARGE, FILE_UNREADABLE (with the place of the fault), FILE_EMPTY or TOO_MANY_ROWS.
    """
    _require(actor)
    if file_name is not None:
        check_file_name(file_name, "file_name")
    upload_id = uuid4()
    path = upload_path(upload_id)
    counted = _Counted(pieces, most_bytes)
    await store.put(path, counted.bytes())
    try:
        async with _reading:
            rows = await asyncio.to_thread(_count_rows, await store.get(path))
        upload = models.Upload(
            id=upload_id,
            user_id=None if actor.api_key_id else actor.user_id,
            api_key_id=actor.api_key_id,
            file_name=file_name,
            byte_count=counted.total,
            row_count=rows,
            expires_at=models.utcnow() + KEPT_FOR,
        )
        async with transaction() as tx:
            tx.add(upload)
    except BaseException:
        await store.delete(path)
        raise
    return upload


async def forget(tx: AsyncSession) -> list[str]:
    """Delete the uploads that have expired; answers the paths of their files, to be deleted after the commit."""
    upload = models.Upload
    expired = (
        select(upload.id).where(upload.expires_at <= models.utcnow()).limit(1_000).with_for_update(skip_locked=True)
    )
    gone = await tx.execute(delete(upload).where(upload.id.in_(expired)).returning(upload.id))
    return [upload_path(upload_id) for upload_id in gone.scalars()]


def _require(actor: Actor) -> None:
    """Refuse whoever could not use a list in any service."""
    if not actor.signed_in:
        raise Unauthenticated
    if not any(actor.services(permission) for permission in PERMISSIONS.values()):
        raise Forbidden(next(iter(PERMISSIONS.values())).name)


class _Counted:
    """Pieces, counted as they go by, and refused past the limit."""

    def __init__(self, pieces: AsyncIterable[bytes], most_bytes: int) -> None:
        self._pieces = pieces
        self._most_bytes = most_bytes
        self.total = 0

    async def bytes(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            self.total += len(piece)
            if self.total > self._most_bytes:
                raise too_large(self._most_bytes)
            if piece:
                yield piece


def too_large(most_bytes: int) -> Invalid:
    """What to say of a list that is over the limit."""
    return Invalid(f"A list can have at most {most_bytes:,} bytes.", code=UserErrorCode.FILE_TOO_LARGE)


def _count_rows(content: bytes) -> int:
    """Rows without the headers and without empty ones at the end."""
    count = last = -1
    try:
        for record in csv_files.records(content):
            if count < 0 and not any(record):
                continue
            count += 1
            if any(record):
                last = count
            if last > MOST_ROWS:
                message = f"A list can have at most {MOST_ROWS:,} rows."
                raise Invalid(message, code=UserErrorCode.TOO_MANY_ROWS)
    except csv_files.FileError as error:
        raise Invalid(error.message, code=error.code) from error
    if last < 1:
        raise Invalid("The list has no rows.", code=UserErrorCode.FILE_EMPTY)
    return last
