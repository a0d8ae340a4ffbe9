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
from graphql_api.domain.deliveries import FailedMessage, SentMessage
from graphql_api.enums import Channel, KeyType, NotificationStatus
from graphql_api.gateways import RetryableSendError
from graphql_api.models import utcnow
from graphql_api.observability.error_descriptions import describe_error
from graphql_api.worker.rendering import Renderer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Row

    from graphql_api.gateways import Gateway
    from graphql_api.worker.context import WorkerContext

MESSAGES_PER_SEND_TASK = 10
"""Messages are recorded when each place of their gateway has sent so many: that much is unsure if the worker dies."""

MESSAGES_PER_YIELD = 50
"""After so many messages others get their turn, even if the gateway never has to wait."""

log = structlog.get_logger(__name__)


async def deliver_messages(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Hand messages to their gateways, those that still wait and that no other worker has."""
    ids = [UUID(notification_id) for notification_id in payload["notification_ids"]]

    async def together(ids: Sequence[UUID]) -> None:
        await _ClaimedDelivery(worker).run(ids)

    await worker.batcher.run("deliver", ids, together)


async def record_receipts(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Record what became of messages."""
    receipts = [
        (UUID(notification_id), NotificationStatus(status))
        for status, ids in payload["receipts"].items()
        for notification_id in ids
    ]

    async def together(receipts: Sequence[tuple[UUID, NotificationStatus]]) -> None:
        # Of two about one message the first counts, as it would if they came one after the other.
        first = dict(reversed(receipts))
        async with worker.database.transaction() as tx:
            await deliveries.record_receipts(tx, worker.actor, first)

    await worker.batcher.run("receive", receipts, together)


async def deliver_platform_message(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Send a message of the platform itself."""
    await platform_messages.deliver(payload, signer=worker.signer, gateways=worker.gateways, settings=worker.settings)


@dataclass
class _RoundResult:
    """How the messages of one round went."""

    sent: list[SentMessage] = field(default_factory=list)
    failed: list[FailedMessage] = field(default_factory=list)
    expected_receipts: dict[float, dict[NotificationStatus, list[UUID]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """What will have become of messages, by the seconds until then."""
    not_attempted: list[UUID] = field(default_factory=list)
    """Not tried: the claim had run out."""


class _ClaimedDelivery:
    """One claim on some messages, from its beginning to its end."""

    def __init__(self, worker: WorkerContext) -> None:
        self._worker = worker
        self._policy = worker.delivery_policy
        self._owner = uuid4()
        self._claimed_ids: set[UUID] = set()
        self._claim_expires_at = 0.0
        """When the claim runs out, by this machine's clock that only goes forward."""

    async def run(self, ids: Sequence[UUID]) -> None:
        """Claim, send, record."""
        work, pace = self._worker, self._policy
        async with work.database.transaction() as tx:
            if work.stopping.is_set():
                await deliveries.enqueue_messages(tx, ids)
                return
            self._claim_expires_at = time.monotonic() + pace.lease_seconds
            claim = await deliveries.claim(tx, work.actor, ids, owner=self._owner, lease_seconds=pace.lease_seconds)
            await deliveries.enqueue_messages(
                tx, claim.claimed_elsewhere, due=utcnow() + timedelta(seconds=pace.lease_seconds)
            )
            renderer = await Renderer.load(tx, work.signer, claim.messages)
        self._claimed_ids = {message.id for message in claim.messages}
        by_gateway: dict[Gateway, list[Row[Any]]] = defaultdict(list)
        for message in claim.messages:
            test = message.key_type == KeyType.TEST.value
            by_gateway[work.gateways.for_channel(Channel(message.notification_type), test=test)].append(message)
        try:
            async with self._claim_renewal(), asyncio.TaskGroup() as gateways:
                for gateway, messages in by_gateway.items():
                    gateways.create_task(self._deliver_through(gateway, renderer, messages))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _deliver_through(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> None:
        """Send and record, round by round."""
        size = gateway.concurrency * MESSAGES_PER_SEND_TASK
        for start in range(0, len(messages), size):
            await self._record_round(await self._send_round(gateway, renderer, messages[start : start + size]))

    async def _send_round(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> _RoundResult:
        """Send messages, as many at once as the gateway bears."""
        result = _RoundResult()
        waiting = iter(messages)
        async with asyncio.TaskGroup() as places:
            for _ in range(min(gateway.concurrency, len(messages))):
                places.create_task(self._send_loop(gateway, renderer, waiting, result))
        return result

    async def _send_loop(
        self, gateway: Gateway, renderer: Renderer, waiting: Iterator[Row[Any]], result: _RoundResult
    ) -> None:
        for turn, message in enumerate(waiting, 1):
            if time.monotonic() >= self._claim_expires_at:
                result.not_attempted.append(message.id)
                continue
            await self._send_message(gateway, renderer, message, result)
            if turn % MESSAGES_PER_YIELD == 0:
                await asyncio.sleep(0)

    async def _send_message(
        self, gateway: Gateway, renderer: Renderer, message: Row[Any], result: _RoundResult
    ) -> None:
        units = 0
        try:
            outgoing, units = renderer.render(message)
            if message.last_error == deliveries.ABANDONED:
                log.warning("message may go twice", notification_id=str(message.id), provider=gateway.name)
            handed = await gateway.send(outgoing)
        except RetryableSendError as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - one message must not keep the others
            reason = f"fault {type(error).__name__}"
            log.error("message not sent", notification_id=str(message.id), **describe_error(error))  # noqa: TRY400
        else:
            known = None if handed.outcome_delay_seconds else handed.outcome
            sent = SentMessage(message.id, handed.provider, handed.reference, units, utcnow(), known)
            result.sent.append(sent)
            if handed.outcome and handed.outcome_delay_seconds:
                result.expected_receipts[handed.outcome_delay_seconds][handed.outcome].append(message.id)
            return
        channel = Channel(message.notification_type)
        result.failed.append(FailedMessage(message.id, channel, message.attempts, units, reason))

    async def _record_round(self, result: _RoundResult) -> None:
        """Write down how a round went, as far as the claim still holds."""
        actor = self._worker.actor
        async with self._worker.database.transaction() as tx:
            recorded = await deliveries.record_sent(tx, actor, result.sent, owner=self._owner)
            for after, outcomes in result.expected_receipts.items():
                known = {status: [one for one in ids if one in recorded] for status, ids in outcomes.items()}
                await deliveries.enqueue_receipts(tx, known, delay_seconds=after)
            await deliveries.record_failed(tx, actor, result.failed, owner=self._owner, policy=self._policy)
            await deliveries.enqueue_messages(
                tx, result.not_attempted, due=utcnow() + timedelta(seconds=self._policy.lease_seconds)
            )
        self._claimed_ids -= {sent.id for sent in result.sent}
        self._claimed_ids -= {failure.id for failure in result.failed}
        self._claimed_ids -= set(result.not_attempted)

    @contextlib.asynccontextmanager
    async def _claim_renewal(self) -> Any:
        """Hold on to the claim for as long as the block runs."""
        renewing = asyncio.create_task(self._renew_claim())
        try:
            yield
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def _renew_claim(self) -> None:
        lease = self._policy.lease_seconds
        while True:
            await asyncio.sleep(lease / 3)
            until = time.monotonic() + lease
            try:
                async with self._worker.database.transaction() as tx:
                    await deliveries.renew(
                        tx, self._worker.actor, self._claimed_ids, owner=self._owner, lease_seconds=lease
                    )
            except Exception as error:  # noqa: BLE001 - the claim runs out by itself if this goes on
                log.warning("claim not renewed", **describe_error(error))
            else:
                self._claim_expires_at = until
