"""Settings that only a worker needs."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads annotations at run time
from typing import Self

from graphql_api.domain.deliveries import Pace
from graphql_api.settings import Settings


class WorkerSettings(Settings):
    """Settings by the names of their environment variables, as in `Settings`; times are seconds."""

    worker_tasks: int = 64
    """How many tasks a worker has under way at once."""

    worker_lease: float = 5
    """For how long a worker that has died keeps its jobs and messages from the others."""

    delivery_retries: int = 48
    delivery_retry_after: float = 300

    fake_gateway_receipt_after: float = 0.2
    fake_gateway_log: Path | None = None
    """A file that gets a line for each message that the fake gateway takes."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The settings at hand, with the worker's own from the environment."""
        if isinstance(settings, cls):
            return settings
        return cls(**settings.model_dump(exclude_unset=True))

    @property
    def pace(self) -> Pace:
        """How patient delivery is."""
        return Pace(lease=self.worker_lease, retries=self.delivery_retries, retry_after=self.delivery_retry_after)
