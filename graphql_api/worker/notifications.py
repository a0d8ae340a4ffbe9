"""Delivery of messages through gateways, without a database connection while they are sent, and receipts."""

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
"""Messages that each of a gateway's concurrent tasks sends before they are recorded.

If the worker is killed, it is unknown whether these were sent.
"""

MESSAGES_PER_YIELD = 50
"""Messages after which a task yields to others, even if the gateway never waits."""

log = structlog.get_logger(__name__)


async def deliver_messages(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Send the messages that are in status CREATED and not claimed by another worker."""
    ids = [UUID(notification_id) for notification_id in payload["notification_ids"]]

    async def deliver_batch(ids: Sequence[UUID]) -> None:
        await _ClaimedDelivery(worker).run(ids)

    await worker.batcher.run("deliver", ids, deliver_batch)


async def record_receipts(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Record receipts of a task: ids of messages by status."""
    receipts = [
        (UUID(notification_id), NotificationStatus(status))
        for status, ids in payload["receipts"].items()
        for notification_id in ids
    ]

    async def record_batch(receipts: Sequence[tuple[UUID, NotificationStatus]]) -> None:
        # Of several receipts for one message the first applies, as it does if they are recorded in turn.
        status_by_id = dict(reversed(receipts))
        async with worker.database.transaction() as tx:
            await deliveries.record_receipts(tx, worker.actor, status_by_id)

    await worker.batcher.run("receive", receipts, record_batch)


async def deliver_platform_message(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Send a platform message."""
    await platform_messages.deliver(payload, signer=worker.signer, gateways=worker.gateways, settings=worker.settings)


@dataclass
class _RoundResult:
    """Outcomes of the messages of one round."""

    sent: list[SentMessage] = field(default_factory=list)
    failed: list[FailedMessage] = field(default_factory=list)
    expected_receipts: dict[float, dict[NotificationStatus, list[UUID]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """Ids by final status, by the delay of their receipt in seconds; for gateways without receipts."""
    not_attempted: list[UUID] = field(default_factory=list)
    """Ids of messages that were not sent because the claim had expired."""


class _ClaimedDelivery:
    """Claims messages, and sends and records them."""

    def __init__(self, worker: WorkerContext) -> None:
        self._worker = worker
        self._policy = worker.delivery_policy
        self._owner = uuid4()
        self._claimed_ids: set[UUID] = set()
        self._claim_expires_at = 0.0
        """By `time.monotonic`."""

    async def run(self, ids: Sequence[UUID]) -> None:
        """Claim the messages, then send and record them in rounds."""
        worker, lease_seconds = self._worker, self._policy.lease_seconds
        async with worker.database.transaction() as tx:
            if worker.stopping.is_set():
                await deliveries.enqueue_messages(tx, ids)
                return
            self._claim_expires_at = time.monotonic() + lease_seconds
            claim = await deliveries.claim(tx, worker.actor, ids, owner=self._owner, lease_seconds=lease_seconds)
            await deliveries.enqueue_messages(
                tx, claim.claimed_elsewhere, due=utcnow() + timedelta(seconds=lease_seconds)
            )
            renderer = await Renderer.load(tx, worker.signer, claim.messages)
        self._claimed_ids = {message.id for message in claim.messages}
        by_gateway: dict[Gateway, list[Row[Any]]] = defaultdict(list)
        for message in claim.messages:
            is_test = message.key_type == KeyType.TEST.value
            by_gateway[worker.gateways.for_channel(Channel(message.notification_type), test=is_test)].append(message)
        try:
            async with self._claim_renewal(), asyncio.TaskGroup() as tasks:
                for gateway, messages in by_gateway.items():
                    tasks.create_task(self._deliver_through(gateway, renderer, messages))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _deliver_through(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> None:
        """Send and record messages in rounds."""
        round_size = gateway.concurrency * MESSAGES_PER_SEND_TASK
        for start in range(0, len(messages), round_size):
            await self._record_round(await self._send_round(gateway, renderer, messages[start : start + round_size]))

    async def _send_round(self, gateway: Gateway, renderer: Renderer, messages: Sequence[Row[Any]]) -> _RoundResult:
        """Send messages, `gateway.concurrency` at once."""
        result = _RoundResult()
        remaining = iter(messages)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(gateway.concurrency, len(messages))):
                tasks.create_task(self._send_loop(gateway, renderer, remaining, result))
        return result

    async def _send_loop(
        self, gateway: Gateway, renderer: Renderer, remaining: Iterator[Row[Any]], result: _RoundResult
    ) -> None:
        for count, message in enumerate(remaining, 1):
            if time.monotonic() >= self._claim_expires_at:
                result.not_attempted.append(message.id)
                continue
            await self._send_message(gateway, renderer, message, result)
            if count % MESSAGES_PER_YIELD == 0:
                await asyncio.sleep(0)

    async def _send_message(
        self, gateway: Gateway, renderer: Renderer, message: Row[Any], result: _RoundResult
    ) -> None:
        units = 0
        try:
            outgoing, units = renderer.render(message)
            if message.last_error == deliveries.ABANDONED:
                log.warning("message may be sent twice", notification_id=str(message.id), provider=gateway.name)
            accepted = await gateway.send(outgoing)
        except RetryableSendError as error:
            reason = error.reason
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            reason = f"fault {type(error).__name__}"
            log.error("message not sent", notification_id=str(message.id), **describe_error(error))  # noqa: TRY400
        else:
            outcome = None if accepted.outcome_delay_seconds else accepted.outcome
            sent = SentMessage(message.id, accepted.provider, accepted.reference, units, utcnow(), outcome)
            result.sent.append(sent)
            if accepted.outcome and accepted.outcome_delay_seconds:
                result.expected_receipts[accepted.outcome_delay_seconds][accepted.outcome].append(message.id)
            return
        channel = Channel(message.notification_type)
        result.failed.append(FailedMessage(message.id, channel, message.attempts, units, reason))

    async def _record_round(self, result: _RoundResult) -> None:
        """Record the outcomes of a round, for the messages whose claim is still held."""
        actor = self._worker.actor
        async with self._worker.database.transaction() as tx:
            recorded = await deliveries.record_sent(tx, actor, result.sent, owner=self._owner)
            for delay_seconds, outcomes in result.expected_receipts.items():
                recorded_outcomes = {
                    status: [notification_id for notification_id in ids if notification_id in recorded]
                    for status, ids in outcomes.items()
                }
                await deliveries.enqueue_receipts(tx, recorded_outcomes, delay_seconds=delay_seconds)
            await deliveries.record_failed(tx, actor, result.failed, owner=self._owner, policy=self._policy)
            await deliveries.enqueue_messages(
                tx, result.not_attempted, due=utcnow() + timedelta(seconds=self._policy.lease_seconds)
            )
        self._claimed_ids -= {sent.id for sent in result.sent}
        self._claimed_ids -= {failure.id for failure in result.failed}
        self._claimed_ids -= set(result.not_attempted)

    @contextlib.asynccontextmanager
    async def _claim_renewal(self) -> Any:
        """Renew the claim while the block runs."""
        task = asyncio.create_task(self._renew_claim())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _renew_claim(self) -> None:
        lease_seconds = self._policy.lease_seconds
        while True:
            await asyncio.sleep(lease_seconds / 3)
            expires_at = time.monotonic() + lease_seconds
            try:
                async with self._worker.database.transaction() as tx:
                    await deliveries.renew(
                        tx, self._worker.actor, self._claimed_ids, owner=self._owner, lease_seconds=lease_seconds
                    )
            except Exception as error:  # noqa: BLE001 - the claim expires if this repeats
                log.warning("claim not renewed", **describe_error(error))
            else:
                self._claim_expires_at = expires_at
