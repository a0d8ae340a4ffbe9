"""Invented messages: rows of `notifications` and `notification_history`, in the order of their days."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from graphql_api.billing import london_days
from graphql_api.domain.notification_rows import INVALID_PREFIX, job_notification_id
from graphql_api.enums import KeyType, NotificationStatus
from graphql_api.seed.recipients import BY_KEY, BY_LIST, TO_TEAM, Audiences, Entry
from graphql_api.seed.schedules import SETTLED
from graphql_api.seed.services import CREATED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from graphql_api.seed.datasets import World
    from graphql_api.seed.schedules import Batch, Cell
    from graphql_api.seed.services import Team
    from graphql_api.seed.templates import Paper

Record = tuple[Any, ...]

KEPT = (
    *("id", "job_id", "job_row_number", "service_id", "template_id", "template_version", "api_key_id", "key_type"),
    *("notification_type", "created_at", "sent_at", "sent_by", "updated_at", "reference", "client_reference"),
    *("international", "phone_prefix", "rate_multiplier", "created_by_id", "status", "billable_units", "postage"),
)
"""Attributes that a message keeps for life."""
ERASED = ("to", "normalised_to", "personalisation", "reply_to_text")
"""Those that it loses when its retention is over."""

_CREATED, _SENDING, _PENDING = "created", "sending", "pending"
_INVALID, _TECHNICAL, _CANCELLED = "validation-failed", "technical-failure", "cancelled"
_UNSENT = frozenset({_CREATED, _INVALID, _TECHNICAL, _CANCELLED, "virus-scan-failed"})
_WITHOUT_UNITS = frozenset({_CREATED, _INVALID, "virus-scan-failed"})

FATES: dict[str, tuple[dict[str, float], dict[str, float], dict[str, float]]] = {
    "sms": (
        {"delivered": 91.4, "sending": 3, "created": 1.2, "pending": 0.3, "temporary-failure": 1.8,
         "permanent-failure": 2.1, "technical-failure": 0.2},
        {"delivered": 94.4, "sending": 1.2, "pending": 0.1, "temporary-failure": 1.9, "permanent-failure": 2.2,
         "technical-failure": 0.2},
        {"delivered": 95.2, "temporary-failure": 2.4, "permanent-failure": 2.2, "technical-failure": 0.2},
    ),
    "email": (
        {"delivered": 95, "sending": 2, "created": 1, "permanent-failure": 1.5, "temporary-failure": 0.4,
         "technical-failure": 0.1},
        {"delivered": 97.2, "sending": 0.4, "permanent-failure": 1.6, "temporary-failure": 0.7,
         "technical-failure": 0.1},
        {"delivered": 97.4, "permanent-failure": 1.7, "temporary-failure": 0.8, "technical-failure": 0.1},
    ),
    "letter": (
        {"created": 95, "cancelled": 5},
        {"sending": 95, "cancelled": 4, "technical-failure": 0.5, "virus-scan-failed": 0.5},
        {"delivered": 94.5, "cancelled": 3.5, "returned-letter": 1.2, "technical-failure": 0.5,
         "validation-failed": 0.3},
    ),
}  # fmt: skip
"""What becomes of messages, in hundredths: of today's, of those of the last days, and of older ones."""
SILENCE = 3
"""Days after which a text or an email of which nothing is heard has failed, and a letter has arrived."""
SIMULATED = {"delivered": 90.0, "permanent-failure": 6.0, "temporary-failure": 4.0}
ARRIVED = {"delivered": 100.0}
BROKEN_ROWS = 0.004
"""The share of a list's rows that are wrong."""
TEXT_PROVIDERS = ("mmg", "mmg", "firetext")
PROVIDERS = {"email": "ses", "letter": "dvla"}
LETTERS_LEAVE = timedelta(hours=17, minutes=30)
ONE = Decimal(1)


@dataclass(slots=True)
class Lot:
    """Messages that differ in their recipients and their fates alone."""

    team: Team
    paper: Paper
    version: int
    age: int
    """In London days."""
    kind: str
    key_type: str = KeyType.LIVE.value
    api_key_id: UUID | None = None
    created_by_id: UUID | None = None
    job_id: UUID | None = None


class Post:
    """Makes messages."""

    def __init__(self, world: World, papers: dict[Team, list[Paper]]) -> None:
        self._world = world
        self._random = world.dice.random
        self._papers = papers
        self._chances: dict[tuple[str, int, bool], tuple[list[str], list[float]]] = {}
        self.audiences = Audiences(world)

    def of_day(self, cells: Iterable[Cell], *, erased: bool) -> list[Record]:
        """A day's messages, in the order in which they were made; `erased` when their retention is over."""
        records: list[Record] = []
        for cell in cells:
            for batch in cell.batches:
                records += self._of_job(cell, batch)
            records += self._others(cell, erased=erased)
        records.sort(key=_created_at)
        return [record[: len(KEPT)] for record in records] if erased else records

    def lot(
        self,
        lot: Lot,
        moments: Sequence[datetime],
        *,
        statuses: Sequence[str] | None = None,
        entries: Sequence[Entry] | None = None,
    ) -> Iterator[Record]:
        """One message for each moment; rows of a job count from 0."""
        random, clock, dice = self._random.random, self._world.clock, self._world.dice
        team, paper = lot.team, lot.paper
        channel = paper.row.template_type
        sms, letter = channel == "sms", channel == "letter"
        test = lot.key_type == KeyType.TEST
        told = statuses is not None
        statuses = statuses or self._fates(lot, len(moments))
        pool = entries or self.audiences.of(team, paper, lot.version, lot.kind)
        sender = self._sender(team, paper)
        settled = clock.now - timedelta(minutes=30)
        service_id, template_id, now = team.service.id, paper.row.id, clock.now
        for row, (moment, drawn) in enumerate(zip(moments, statuses, strict=True)):
            status = drawn
            entry = entries[row] if entries else pool[int(random() * len(pool))]
            to, normalised, units = entry.to, entry.normalised, entry.units
            if status == _CREATED and not letter and not told and moment < settled:
                status = "delivered"
            sent_at = updated_at = sent_by = reference = client_reference = None
            if letter:
                leaves = london_days.midnight(london_days.day_of(moment)) + LETTERS_LEAVE
                sent_at = max(moment, leaves)
                updated_at = sent_at + timedelta(days=2) if lot.age > SILENCE else min(now, sent_at)
                reference = "".join(self._random.choices(_LETTERS, k=16))
                if test:
                    sent_at = updated_at = moment
            else:
                sent_at = min(now, moment + timedelta(seconds=0.2 + 6 * random() ** 3))
                waited = sent_at + timedelta(seconds=1 + 40 * random() ** 4)
                updated_at = min(now, waited + timedelta(days=SILENCE)) if _silent(status, lot.age) else waited
                updated_at = sent_at if status in (_SENDING, _PENDING) else min(now, updated_at)
            if status in _UNSENT:
                sent_at = None
                updated_at = None if status == _CREATED else min(now, moment + timedelta(seconds=90))
                if status == _INVALID and not letter:
                    to, normalised = ("07700 900", "07700900") if sms else ("nobody.example.com", "nobody.example.com")
            else:
                sent_by = PROVIDERS.get(channel) or TEXT_PROVIDERS[int(random() * 3)]
                if channel == "email":
                    reference = f"{self._random.getrandbits(64):016x}"
            if lot.api_key_id is not None and random() < 0.6:  # noqa: PLR2004 - a share
                client_reference = f"case-{int(random() * 1_000_000):06}"
            broken = status == _INVALID
            yield (
                job_notification_id(lot.job_id, row) if lot.job_id else dice.id(moment),
                lot.job_id,
                row if lot.job_id else None,
                service_id,
                template_id,
                lot.version,
                lot.api_key_id,
                lot.key_type,
                channel,
                moment,
                sent_at,
                sent_by,
                updated_at,
                reference,
                client_reference,
                False,
                (INVALID_PREFIX if broken else "44") if sms else None,
                (_ZERO if broken else ONE) if sms else None,
                lot.created_by_id,
                status,
                0 if test or status in _WITHOUT_UNITS else units,
                paper.row.postage,
                to,
                normalised,
                entry.personalisation,
                sender,
            )

    def _of_job(self, cell: Cell, batch: Batch) -> Iterator[Record]:
        job = batch.job
        moments = [batch.start + timedelta(seconds=row // 32 / 15) for row in range(job.notification_count)]
        lot = Lot(cell.team, batch.paper, job.template_version, self._age(cell), BY_LIST, job_id=job.id)
        return self.lot(lot, moments)

    def _others(self, cell: Cell, *, erased: bool) -> Iterator[Record]:
        team = cell.team
        papers = [paper for paper in self._papers[team] if paper.weight and self._may(team, paper)]
        if not cell.count or not papers:
            return
        weights = list(accumulate(paper.weight for paper in papers))
        ways = self._ways(team, erased=erased)
        chosen = zip(
            self._random.choices(papers, cum_weights=weights, k=cell.count),
            self._random.choices(list(ways), list(ways.values()), k=cell.count),
            strict=True,
        )
        begin = london_days.midnight(cell.day)
        for (paper, way), count in Counter(chosen).items():
            lot = Lot(team, paper, paper.version_at(begin), self._age(cell), BY_KEY)
            letter = paper.row.template_type == "letter"
            kind = KeyType.LIVE.value if way == KeyType.TEAM and letter else way
            if kind in team.keys:
                lot.key_type, lot.api_key_id = kind, team.keys[kind].id
            else:
                lot.created_by_id = team.members[int(self._random.random() * 2) % len(team.members)].id
            if kind == KeyType.TEAM or (team.state == CREATED and kind != KeyType.TEST):
                lot.kind = TO_TEAM
            yield from self.lot(lot, self._moments(cell, begin, count))

    @staticmethod
    def _ways(team: Team, *, erased: bool) -> dict[str, float]:
        """Who sends what comes of no job, by type of key; nobody's key is a person."""
        trial = team.state == CREATED
        ways = {"person": 0.6 if trial else 0.12}
        shares = {KeyType.LIVE.value: 0.84, KeyType.TEAM.value: 0.3 if trial else 0.02}
        if not erased:
            shares[KeyType.TEST.value] = 0.2 if trial else 0.02
        return ways | {kind: share for kind, share in shares.items() if kind in team.keys}

    @staticmethod
    def _may(team: Team, paper: Paper) -> bool:
        return paper.row.template_type != "sms" or team.service.sms_message_limit > 0

    def _moments(self, cell: Cell, begin: datetime, count: int) -> list[datetime]:
        clock, random = self._world.clock, self._random
        if cell.day == clock.today:
            span = max(0.0, (clock.now - SETTLED - clock.midnight).total_seconds())
            return [begin + timedelta(seconds=int(span * random.random())) for _ in range(count)]
        triangular = random.triangular
        return [begin + timedelta(seconds=triangular(21_600, 79_200, 41_400)) for _ in range(count)]

    def _age(self, cell: Cell) -> int:
        return (self._world.clock.today - cell.day).days

    def _fates(self, lot: Lot, count: int) -> list[str]:
        channel = lot.paper.row.template_type
        listed, test = lot.job_id is not None and channel != "letter", lot.key_type == KeyType.TEST
        stage = 3 if test else 0 if not lot.age else 1 if lot.age <= SILENCE - (channel != "letter") else 2
        chances = self._chances.get((channel, stage, listed))
        if chances is None:
            fates = FATES[channel][stage] if not test else ARRIVED if channel == "letter" else SIMULATED
            if listed:
                fates = fates | {_INVALID: 100 * BROKEN_ROWS}
            chances = self._chances[channel, stage, listed] = (list(fates), list(accumulate(fates.values())))
        return self._random.choices(chances[0], cum_weights=chances[1], k=count)

    @staticmethod
    def _sender(team: Team, paper: Paper) -> str | None:
        if paper.row.template_type == "sms":
            return team.sms_sender
        if paper.row.template_type == "email":
            return team.reply_to
        return team.contact.contact_block if team.contact else None


_LETTERS = string.ascii_uppercase + string.digits
_ZERO = Decimal(0)


def _created_at(record: Record) -> datetime:
    moment: datetime = record[9]
    return moment


def _silent(status: str, age: int) -> bool:
    """Whether a message failed because nothing was heard of it."""
    return status == NotificationStatus.TEMPORARY_FAILURE and age > SILENCE
