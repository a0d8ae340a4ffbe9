"""A gateway that sends nothing; the final status of a message depends on its recipient."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from graphql_api.enums import NotificationStatus
from graphql_api.gateways.base import SendResult

if TYPE_CHECKING:
    from pathlib import Path

    from graphql_api.gateways.base import OutgoingMessage

OUTCOMES_BY_RECIPIENT = {
    "447700900001": NotificationStatus.DELIVERED,
    "447700900002": NotificationStatus.PERMANENT_FAILURE,
    "447700900003": NotificationStatus.TEMPORARY_FAILURE,
    "delivered@simulator.notify": NotificationStatus.DELIVERED,
    "perm-fail@simulator.notify": NotificationStatus.PERMANENT_FAILURE,
    "temp-fail@simulator.notify": NotificationStatus.TEMPORARY_FAILURE,
}
"""Final status by recipient; messages to all others are delivered."""


class FakeGateway:
    """Accepts every message at once; its final status follows after `receipt_delay_seconds`.

    With `log_path`, a line with id and channel is appended to that file for each message.
    """

    name = "fake"
    concurrency = 100

    def __init__(self, *, receipt_delay_seconds: float = 0.2, log_path: Path | None = None) -> None:
        self.receipt_delay_seconds = receipt_delay_seconds
        self._log_descriptor = (
            None if log_path is None else os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        )

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Accept a message; its reference is derived from its id, so that sending twice is idempotent."""
        if self._log_descriptor is not None:
            os.write(self._log_descriptor, f"{message.id} {message.channel}\n".encode())
        outcome = OUTCOMES_BY_RECIPIENT.get(message.recipient, NotificationStatus.DELIVERED)
        return SendResult(self.name, f"fake-{message.id}", outcome, self.receipt_delay_seconds)

    async def close(self) -> None:
        """Close the log file."""
        if self._log_descriptor is not None:
            os.close(self._log_descriptor)
            self._log_descriptor = None
