"""Messages: handed to their gateways, with no connection to the database held meanwhile, and their receipts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog

from graphql_api.domain import deliveries, platform_messages
from graphql_api.domain.deliveries import Failed, Sent
from graphql_api.enums import Channel, KeyType, NotificationStatus
from graphql_api.gateways import TryAgain
from graphql_api.models import utcnow
from graphql_api.worker.faults import described
from graphql_api.worker.rendering import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Row

    from graphql_api.gateways import Gateway
    from graphql_api.worker.context import Work

ROUNDS = 10
"""Messages are recorded when each place of their gateway has sent so many: that much is unsure if the worker dies."""

TURN = 50
"""After so many messages others get their turn, even if the gateway never has to wait."""

log = structlog.get_logger(__name__)


async def deliver(work: Work, payload: Mapping[str, Any]) -> None:
    """Hand messages to their gateways, those that still wait and that no other worker has."""
    ids = [UUID(notification_id) for notification_id in payload["notification_ids"]]

    async def together(ids: Sequence[UUID]) -> None:
        await _Delivery(work).run(ids)

    await work.batches.run("deliver", ids, together)


async def receive(work: Work, payload: Mapping[str, Any]) -> None:
    """Record what became of messages."""
    receipts = [
        (UUID(notification_id), _STATUSES[status])
        for status, ids in payload["receipts"].items()
        for notification_id in ids
    ]

    async def together(receipts: Sequence[tuple[UUID, NotificationStatus]]) -> None:
        # Of two about one message the first counts, as it would if they came one after the other.
        first = dict(reversed(receipts))
        async with work.database.transaction() as tx:
            await deliveries.receive(tx, work.actor, first)

    await work.batches.run("receive", receipts, together)


async def platform_message(work: Work, payload: Mapping[str, Any]) -> None:
    """Send a message of the platform itself."""
    await platform_messages.deliver(payload, signer=work.signer, gateways=work.gateways, settings=work.settings)


_STATUSES = {status.value: status for status in NotificationStatus}
_CHANNELS = {channel.value: channel for channel in Channel}


@dataclass
class _Round:
    """How the messages of one round went."""

    sent: list[Sent] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    expected: dict[float, dict[NotificationStatus, list[UUID]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """What will have become of messages, by the seconds until then."""
    left: list[UUID] = field(default_factory=list)
    """Not tried: the claim had run out."""


class _Delivery:
    """One claim on some messages, from its beginning to its end."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pace = work.pace
        self._owner = uuid4()
        self._held: set[UUID] = set()
        self._until = 0.0
        """When the claim runs out, by this machine's clock that only goes forward."""

    async def run(self, ids: Sequence[UUID]) -> None:
        """Claim, send, record."""
        work, pace = self._work, self._pace
        async with work.database.transaction() as tx:
            if work.stopping.is_set():
                await deliveries.queue(tx, ids)
                return
            self._until = time.monotonic() + pace.lease
            claim = await deliveries.claim(tx, work.actor, ids, owner=self._owner, lease=pace.lease)
            await deliveries.queue(tx, claim.elsewhere, due=utcnow() + timedelta(seconds=pace.lease))
            renderer = await Renderer.load(tx, work.signer, claim.messages)
        self._held = {message.id for message in claim.messages}
        by_gateway: dict[Gateway, list[Row[Any]]] = defaultdict(list)
        for message in claim.messages:
            test = message.key_type == KeyType.TEST.value
            by_gateway[work.gateways.of(_CHANNELS[message.notification_type], test=test)].append(message)
        try:
            async with self._renewing(), asyncio.TaskGroup() as gateways:
                for gateway, messages in by_gateway.items():
                    gateways.create_task(self._through(gateway, renderer, messages))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _through(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> None:
        """Send and record, round by round."""
        size = gateway.concurrency * ROUNDS
        for start in range(0, len(messages), size):
            await self._record(await self._send(gateway, renderer, messages[start : start + size]))

    async def _send(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> _Round:
        """Send messages, as many at once as the gateway bears."""
        result = _Round()
        waiting = iter(messages)
        async with asyncio.TaskGroup() as places:
            for _ in range(min(gateway.concurrency, len(messages))):
                places.create_task(self._sender(gateway, renderer, waiting, result))
        return result

    async def _sender(self, gateway: Gateway, renderer: Renderer, waiting: Iterator[Row[Any]], result: _Round) -> None:
        for turn, message in enumerate(waiting, 1):
            if time.monotonic() >= self._until:
                result.left.append(message.id)
                continue
            await self._one(gateway, renderer, message, result)
            if turn % TURN == 0:
                await asyncio.sleep(0)

    async def _one(self, gateway: Gateway, renderer: Renderer, message: Row[Any], result: _Round) -> None:
        units = 0
        try:
            outgoing, units = renderer.render(message)
            if message.last_error == deliveries.ABANDONED:
                log.warning("message may go twice", notification_id=str(message.id), provider=gateway.name)
            handed = await gateway.send(outgoing)
        except TryAgain as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - one message must not keep the others
            reason = f"fault {type(error).__name__}"
            log.error("message not sent", notification_id=str(message.id), **described(error))  # noqa: TRY400
        else:
            known = None if handed.after else handed.outcome
            sent = Sent(message.id, handed.provider, handed.reference, units, utcnow(), known)
            result.sent.append(sent)
            if handed.outcome and handed.after:
                result.expected[handed.after][handed.outcome].append(message.id)
            return
        channel = _CHANNELS[message.notification_type]
        result.failed.append(Failed(message.id, channel, message.attempts, units, reason))

    async def _record(self, result: _Round) -> None:
        """Write down how a round went, as far as the claim still holds."""
        actor = self._work.actor
        async with self._work.database.transaction() as tx:
            recorded = await deliveries.record_sent(tx, actor, result.sent, owner=self._owner)
            for after, outcomes in result.expected.items():
                known = {status: [one for one in ids if one in recorded] for status, ids in outcomes.items()}
                await deliveries.expect(tx, known, after=after)
            await deliveries.record_failed(tx, actor, result.failed, owner=self._owner, pace=self._pace)
            await deliveries.queue(tx, result.left, due=utcnow() + timedelta(seconds=self._pace.lease))
        self._held -= {sent.id for sent in result.sent}
        self._held -= {failure.id for failure in result.failed}
        self._held -= set(result.left)

    @contextlib.asynccontextmanager
    async def _renewing(self) -> Any:
        """Hold on to the claim for as long as the block runs."""
        renewing = asyncio.create_task(self._renew())
        try:
            yield
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self) -> None:
        lease = self._pace.lease
        while True:
            await asyncio.sleep(lease / 3)
            until = time.monotonic() + lease
            try:
                async with self._work.database.transaction() as tx:
                    await deliveries.renew(tx, self._work.actor, self._held, owner=self._owner, lease=lease)
            except Exception as error:  # noqa: BLE001 - the claim runs out by itself if this goes on
                log.warning("claim not renewed", **described(error))
            else:
                self._until = until
