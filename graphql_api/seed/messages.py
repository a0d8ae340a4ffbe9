"""Invented messages: rows of `notifications` and `notification_history`, by day."""

from __future__ import annotations

import string
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from graphql_api.billing import london_days
from graphql_api.domain.notification_rows import INVALID_CALLING_CODE, job_notification_id
from graphql_api.enums import KeyType, NotificationStatus
from graphql_api.seed.recipients import FROM_JOB_ROW, FROM_REQUEST, TO_TEAM_MEMBER, Recipient, RecipientPools
from graphql_api.seed.schedules import MIN_MESSAGE_AGE
from graphql_api.seed.services import ServiceState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.schedules import ScheduledJob, ServiceDay
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

Record = tuple[Any, ...]

PERMANENT_ATTRIBUTES = (
    *("id", "job_id", "job_row_number", "service_id", "template_id", "template_version", "api_key_id", "key_type"),
    *("notification_type", "created_at", "sent_at", "sent_by", "updated_at", "reference", "client_reference"),
    *("international", "phone_prefix", "rate_multiplier", "created_by_id", "status", "billable_units", "postage"),
)
"""Attributes of both tables."""
ERASED_ATTRIBUTES = ("to", "normalised_to", "personalisation", "reply_to_text")
"""Attributes that are erased at the end of the retention period."""

_CREATED, _SENDING, _PENDING = "created", "sending", "pending"
_INVALID, _TECHNICAL, _CANCELLED = "validation-failed", "technical-failure", "cancelled"
_UNSENT_STATUSES = frozenset({_CREATED, _INVALID, _TECHNICAL, _CANCELLED, "virus-scan-failed"})
_UNBILLED_STATUSES = frozenset({_CREATED, _INVALID, "virus-scan-failed"})

STATUS_PERCENTAGES: dict[str, tuple[dict[str, float], dict[str, float], dict[str, float]]] = {
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
"""Percentages of statuses by channel: of messages of today, of the last days, and of older ones."""
RECEIPT_TIMEOUT_DAYS = 3
"""Days after which a text message or an email without a receipt has failed, and a letter is delivered."""
TEST_KEY_STATUS_PERCENTAGES = {"delivered": 90.0, "permanent-failure": 6.0, "temporary-failure": 4.0}
TEST_LETTER_STATUS_PERCENTAGES = {"delivered": 100.0}
INVALID_ROW_SHARE = 0.004
"""Share of invalid rows in the list of a job."""
SMS_PROVIDERS = ("mmg", "mmg", "firetext")
PROVIDERS = {"email": "ses", "letter": "dvla"}
LETTER_DESPATCH_TIME = timedelta(hours=17, minutes=30)
UK_RATE_MULTIPLIER = Decimal(1)


@dataclass(slots=True)
class MessageBatch:
    """What messages have in common that differ only in recipient, time and status."""

    seeded_service: SeededService
    seeded_template: SeededTemplate
    version: int
    age_days: int
    """In London days."""
    kind: str
    key_type: str = KeyType.LIVE.value
    api_key_id: UUID | None = None
    created_by_id: UUID | None = None
    job_id: UUID | None = None


class MessageGenerator:
    """Generates the records of messages."""

    def __init__(self, dataset: Dataset, seeded_templates: dict[SeededService, list[SeededTemplate]]) -> None:
        self._dataset = dataset
        self._random = dataset.rng.random
        self._seeded_templates = seeded_templates
        self._status_weights: dict[tuple[str, int, bool], tuple[list[str], list[float]]] = {}
        self.recipient_pools = RecipientPools(dataset)

    def messages_of_day(self, service_days: Iterable[ServiceDay], *, erased: bool) -> list[Record]:
        """The messages of a day by time of creation; `erased` leaves out `ERASED_ATTRIBUTES`."""
        records: list[Record] = []
        for service_day in service_days:
            for batch in service_day.scheduled_jobs:
                records += self._job_messages(service_day, batch)
            records += self._single_messages(service_day, erased=erased)
        records.sort(key=_created_at)
        return [record[: len(PERMANENT_ATTRIBUTES)] for record in records] if erased else records

    def generate(
        self,
        batch: MessageBatch,
        moments: Sequence[datetime],
        *,
        statuses: Sequence[str] | None = None,
        recipients: Sequence[Recipient] | None = None,
    ) -> Iterator[Record]:
        """One message for each moment of creation, in order; their index is the row number in a job."""
        random, clock, rng = self._random.random, self._dataset.clock, self._dataset.rng
        seeded_service, seeded_template = batch.seeded_service, batch.seeded_template
        channel = seeded_template.row.template_type
        sms, letter = channel == "sms", channel == "letter"
        test = batch.key_type == KeyType.TEST
        has_fixed_statuses = statuses is not None
        statuses = statuses or self._draw_statuses(batch, len(moments))
        pool = recipients or self.recipient_pools.pool(seeded_service, seeded_template, batch.version, batch.kind)
        sender = self._sender(seeded_service, seeded_template)
        settled_before = clock.now - timedelta(minutes=30)
        service_id, template_id, now = seeded_service.row.id, seeded_template.row.id, clock.now
        for row, (moment, drawn_status) in enumerate(zip(moments, statuses, strict=True)):
            status = drawn_status
            recipient = recipients[row] if recipients else pool[int(random() * len(pool))]
            to, normalised, units = recipient.to, recipient.normalised, recipient.units
            if status == _CREATED and not letter and not has_fixed_statuses and moment < settled_before:
                status = "delivered"
            sent_at = updated_at = sent_by = reference = client_reference = None
            if letter:
                despatched_at = london_days.midnight(london_days.london_day(moment)) + LETTER_DESPATCH_TIME
                sent_at = max(moment, despatched_at)
                updated_at = sent_at + timedelta(days=2) if batch.age_days > RECEIPT_TIMEOUT_DAYS else min(now, sent_at)
                reference = "".join(self._random.choices(_REFERENCE_CHARACTERS, k=16))
                if test:
                    sent_at = updated_at = moment
            else:
                sent_at = min(now, moment + timedelta(seconds=0.2 + 6 * random() ** 3))
                receipt_at = sent_at + timedelta(seconds=1 + 40 * random() ** 4)
                updated_at = (
                    min(now, receipt_at + timedelta(days=RECEIPT_TIMEOUT_DAYS))
                    if _is_receipt_timeout(status, batch.age_days)
                    else receipt_at
                )
                updated_at = sent_at if status in (_SENDING, _PENDING) else min(now, updated_at)
            if status in _UNSENT_STATUSES:
                sent_at = None
                updated_at = None if status == _CREATED else min(now, moment + timedelta(seconds=90))
                if status == _INVALID and not letter:
                    to, normalised = ("07700 900", "07700900") if sms else ("nobody.example.com", "nobody.example.com")
            else:
                sent_by = PROVIDERS.get(channel) or SMS_PROVIDERS[int(random() * 3)]
                if channel == "email":
                    reference = f"{self._random.getrandbits(64):016x}"
            if batch.api_key_id is not None and random() < 0.6:  # noqa: PLR2004 - a share
                client_reference = f"case-{int(random() * 1_000_000):06}"
            invalid = status == _INVALID
            yield (
                job_notification_id(batch.job_id, row) if batch.job_id else rng.id(moment),
                batch.job_id,
                row if batch.job_id else None,
                service_id,
                template_id,
                batch.version,
                batch.api_key_id,
                batch.key_type,
                channel,
                moment,
                sent_at,
                sent_by,
                updated_at,
                reference,
                client_reference,
                False,
                (INVALID_CALLING_CODE if invalid else "44") if sms else None,
                (_INVALID_RATE_MULTIPLIER if invalid else UK_RATE_MULTIPLIER) if sms else None,
                batch.created_by_id,
                status,
                0 if test or status in _UNBILLED_STATUSES else units,
                seeded_template.row.postage,
                to,
                normalised,
                recipient.personalisation,
                sender,
            )

    def _job_messages(self, service_day: ServiceDay, scheduled_job: ScheduledJob) -> Iterator[Record]:
        job = scheduled_job.job
        moments = [scheduled_job.start + timedelta(seconds=row // 32 / 15) for row in range(job.notification_count)]
        batch = MessageBatch(
            service_day.seeded_service,
            scheduled_job.seeded_template,
            job.template_version,
            self._age_days(service_day),
            FROM_JOB_ROW,
            job_id=job.id,
        )
        return self.generate(batch, moments)

    def _single_messages(self, service_day: ServiceDay, *, erased: bool) -> Iterator[Record]:
        seeded_service = service_day.seeded_service
        seeded_templates = [
            seeded_template
            for seeded_template in self._seeded_templates[seeded_service]
            if seeded_template.weight and self._can_send(seeded_service, seeded_template)
        ]
        if not service_day.count or not seeded_templates:
            return
        weights = list(accumulate(seeded_template.weight for seeded_template in seeded_templates))
        sender_weights = self._sender_weights(seeded_service, erased=erased)
        chosen = zip(
            self._random.choices(seeded_templates, cum_weights=weights, k=service_day.count),
            self._random.choices(list(sender_weights), list(sender_weights.values()), k=service_day.count),
            strict=True,
        )
        begin = london_days.midnight(service_day.day)
        for (seeded_template, sender), count in Counter(chosen).items():
            batch = MessageBatch(
                seeded_service,
                seeded_template,
                seeded_template.version_at(begin),
                self._age_days(service_day),
                FROM_REQUEST,
            )
            letter = seeded_template.row.template_type == "letter"
            kind = KeyType.LIVE.value if sender == KeyType.TEAM and letter else sender
            if kind in seeded_service.api_keys:
                batch.key_type, batch.api_key_id = kind, seeded_service.api_keys[kind].id
            else:
                batch.created_by_id = seeded_service.members[
                    int(self._random.random() * 2) % len(seeded_service.members)
                ].id
            if kind == KeyType.TEAM or (seeded_service.state is ServiceState.TRIAL and kind != KeyType.TEST):
                batch.kind = TO_TEAM_MEMBER
            yield from self.generate(batch, self._moments(service_day, begin, count))

    @staticmethod
    def _sender_weights(seeded_service: SeededService, *, erased: bool) -> dict[str, float]:
        """Weights of the senders of messages outside jobs: a type of API key, or `person`."""
        trial = seeded_service.state is ServiceState.TRIAL
        sender_weights = {"person": 0.6 if trial else 0.12}
        shares = {KeyType.LIVE.value: 0.84, KeyType.TEAM.value: 0.3 if trial else 0.02}
        if not erased:
            shares[KeyType.TEST.value] = 0.2 if trial else 0.02
        return sender_weights | {kind: share for kind, share in shares.items() if kind in seeded_service.api_keys}

    @staticmethod
    def _can_send(seeded_service: SeededService, seeded_template: SeededTemplate) -> bool:
        return seeded_template.row.template_type != "sms" or seeded_service.row.sms_message_limit > 0

    def _moments(self, service_day: ServiceDay, begin: datetime, count: int) -> list[datetime]:
        clock, random = self._dataset.clock, self._random
        if service_day.day == clock.today:
            span = max(0.0, (clock.now - MIN_MESSAGE_AGE - clock.midnight).total_seconds())
            return [begin + timedelta(seconds=int(span * random.random())) for _ in range(count)]
        triangular = random.triangular
        return [begin + timedelta(seconds=triangular(21_600, 79_200, 41_400)) for _ in range(count)]

    def _age_days(self, service_day: ServiceDay) -> int:
        return (self._dataset.clock.today - service_day.day).days

    def _draw_statuses(self, batch: MessageBatch, count: int) -> list[str]:
        channel = batch.seeded_template.row.template_type
        from_job, test = batch.job_id is not None and channel != "letter", batch.key_type == KeyType.TEST
        stage = (
            3
            if test
            else 0
            if not batch.age_days
            else 1
            if batch.age_days <= RECEIPT_TIMEOUT_DAYS - (channel != "letter")
            else 2
        )
        weights = self._status_weights.get((channel, stage, from_job))
        if weights is None:
            percentages = (
                STATUS_PERCENTAGES[channel][stage]
                if not test
                else TEST_LETTER_STATUS_PERCENTAGES
                if channel == "letter"
                else TEST_KEY_STATUS_PERCENTAGES
            )
            if from_job:
                percentages = percentages | {_INVALID: 100 * INVALID_ROW_SHARE}
            weights = self._status_weights[channel, stage, from_job] = (
                list(percentages),
                list(accumulate(percentages.values())),
            )
        return self._random.choices(weights[0], cum_weights=weights[1], k=count)

    @staticmethod
    def _sender(seeded_service: SeededService, seeded_template: SeededTemplate) -> str | None:
        if seeded_template.row.template_type == "sms":
            return seeded_service.sms_sender
        if seeded_template.row.template_type == "email":
            return seeded_service.reply_to
        return seeded_service.letter_contact.contact_block if seeded_service.letter_contact else None


_REFERENCE_CHARACTERS = string.ascii_uppercase + string.digits
_INVALID_RATE_MULTIPLIER = Decimal(0)


def _created_at(record: Record) -> datetime:
    moment: datetime = record[9]
    return moment


def _is_receipt_timeout(status: str, age_days: int) -> bool:
    """Whether a message failed because no receipt arrived."""
    return status == NotificationStatus.TEMPORARY_FAILURE and age_days > RECEIPT_TIMEOUT_DAYS
