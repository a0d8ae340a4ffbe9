"""A seed data set: its sizes, its clock, its random numbers, and the rows collected so far."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid5

from sqlalchemy import inspect

from graphql_api import models
from graphql_api.billing import london_days

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql_api.auth.crypto import Signer

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")

ID_NAMESPACE = UUID("5eed0000-0000-5000-8000-000000000000")
ONE_DAY = timedelta(days=1)
HISTORY_DAYS = 365
"""Days covered by messages past their retention."""
WEEKDAY_ACTIVITY = (1.0, 1.0, 1.0, 1.0, 0.9, 0.35, 0.25)
"""Relative number of messages of each weekday, from Monday."""


def fixed_id(*names: str) -> UUID:
    """The id of a named row of the demo, the same in every database."""
    return uuid5(ID_NAMESPACE, " ".join(names))


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of rows."""

    notifications: int
    history: int
    organisations: int
    services: int
    users: int
    templates: int
    jobs: int

    @classmethod
    def for_notifications(cls, notifications: int, history: int | None = None) -> Sizes:
        """Sizes for a number of messages: 20 organisations and 45 services for 20,000; 42 and 200 for 500,000."""
        services = max(8, round(200 * (notifications / 500_000) ** 0.46))
        return cls(
            notifications=notifications,
            history=notifications // 2 if history is None else history,
            organisations=max(5, round(3 * services**0.5)),
            services=services,
            users=services * 5,
            templates=services * 10,
            jobs=max(12, notifications // 100),
        )


class SeededRandom:
    """Random numbers that are the same on each run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def id(self, moment: datetime) -> UUID:
        """A UUID of version 7, ordered by `moment`."""
        milliseconds = int((moment - _EPOCH).total_seconds() * 1000)
        return UUID(int=(milliseconds << 80) | _VERSION_7 | (self.random.getrandbits(76) & _RANDOM_BITS))

    def pick(self, items: Sequence[T]) -> T:
        """One of the items; faster than `choice`."""
        return items[int(self.random.random() * len(items))]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """At most `count` different items."""
        return self.random.sample(items, min(count, len(items)))

    def chance(self, share: float) -> bool:
        """True with probability `share`."""
        return self.random.random() < share

    def moment_between(self, first: datetime, last: datetime) -> datetime:
        """A moment between two others, in whole seconds."""
        return first + timedelta(seconds=int(self.random.random() * max(1.0, (last - first).total_seconds())))

    def split(self, total: int, weights: Sequence[float]) -> list[int]:
        """Split `total` by weights; the parts add up to it exactly, the remainder is distributed at random."""
        weight_sum = sum(weights)
        if not total or not weight_sum:
            return [0] * len(weights)
        parts = [int(total * weight / weight_sum) for weight in weights]
        for index in self.random.choices(
            range(len(weights)), cum_weights=list(accumulate(weights)), k=total - sum(parts)
        ):
            parts[index] += 1
        return parts


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive UTC, as the database
_VERSION_7 = (7 << 76) | (2 << 62)
_RANDOM_BITS = (0xFFF << 64) | ((1 << 62) - 1)


def power_law_weights(count: int, steepness: float) -> list[float]:
    """Weights 1 / rank ** `steepness`, rank from 1."""
    return [(rank + 1) ** -steepness for rank in range(count)]


@dataclass
class Clock:
    """The moment at which the data end, in naive UTC, and the London day of it."""

    now: datetime
    today: date = field(init=False)
    midnight: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.today = london_days.london_day(self.now)
        self.midnight = london_days.midnight(self.today)

    def days_ago(self, days: float) -> datetime:
        """The moment `days` before the last London midnight."""
        return self.midnight - timedelta(days=days)

    def activity(self, day: date) -> float:
        """Relative number of messages of a day."""
        if day == self.today:
            return max(0.3, (self.now - self.midnight) / ONE_DAY)
        return WEEKDAY_ACTIVITY[day.weekday()]


class Dataset:
    """The state that all generators of rows share."""

    def __init__(self, sizes: Sizes, now: datetime, signer: Signer, password_hash: str) -> None:
        self.sizes = sizes
        self.clock = Clock(now)
        self.rng = SeededRandom(20_261_121)
        self.signer = signer
        self.password_hash = password_hash
        self.rows: dict[type[models.Model], list[models.Model]] = {}

    def add(self, model: type[M], at: datetime, **values: Any) -> M:
        """Add a row with `created_at` and, unless `values` has one, an id."""
        attributes = inspect(model).column_attrs
        if "id" in attributes and "id" not in values:
            values["id"] = self.rng.id(at)
        if "created_at" in attributes:
            values.setdefault("created_at", at)
        row = model(**values)
        self.add_row(row)
        return row

    def add_row(self, row: models.Model) -> None:
        """Add a row to those that will be written."""
        self.rows.setdefault(type(row), []).append(row)


def derive_secret(signer: Signer, purpose: str) -> UUID:
    """A secret of the demo, derived from the deployment's salt, so the same on each run."""
    return UUID(bytes=hmac.digest(signer.salt, f"demo {purpose}".encode(), hashlib.sha256)[:16], version=4)
