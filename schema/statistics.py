"""Statistics: numbers of messages over a range of days, by channel and status."""

from collections.abc import Sequence
from datetime import date
from typing import Self

from graphql_api.enums import Channel, NotificationStatus, NotificationStatusGroup
from graphql_api.statuses import group_of, status_of
from loaders.statistics import MessageCount
from schema.core import value_object
from schema.ranges import DateRange


@value_object
class NotificationCounts:
    """Numbers of messages by status group, without those of test keys."""

    requested: int
    """All messages but the cancelled ones."""
    in_progress: int
    """Messages without a final status."""
    delivered: int
    """Delivered messages."""
    failed: int
    """Failed messages."""
    cancelled: int
    """Cancelled messages."""
    failure_rate: float | None
    """Failed messages divided by delivered and failed ones, from 0 to 1; null when there are neither."""

    @classmethod
    def of(cls, counts: Sequence[MessageCount]) -> Self:
        """The sums of counts by status group."""
        by_group = dict.fromkeys(NotificationStatusGroup, 0)
        for count in counts:
            by_group[group_of(count.status)] += count.messages
        delivered, failed = by_group[NotificationStatusGroup.DELIVERED], by_group[NotificationStatusGroup.FAILED]
        in_progress = by_group[NotificationStatusGroup.IN_PROGRESS]
        return cls(
            requested=in_progress + delivered + failed,
            in_progress=in_progress,
            delivered=delivered,
            failed=failed,
            cancelled=by_group[NotificationStatusGroup.CANCELLED],
            failure_rate=failed / (delivered + failed) if delivered + failed else None,
        )


@value_object
class ChannelStatistics:
    """Messages of one channel."""

    channel: Channel
    """Channel of the messages."""
    counts: NotificationCounts
    """Their numbers by status group."""


@value_object
class StatusCount:
    """Messages of one channel with one status."""

    channel: Channel
    """Channel of the messages."""
    status: NotificationStatus
    """Status of the messages."""
    count: int
    """Number of messages."""


@value_object
class NotificationStatistics:
    """Numbers of messages over a range of days."""

    range: DateRange
    """First and last day."""
    total: NotificationCounts
    """All channels together."""
    by_channel: list[ChannelStatistics]
    """Numbers of messages of each channel."""
    by_status: list[StatusCount]
    """Numbers of messages of each channel and status that occurs."""

    @classmethod
    def of(cls, first: date, last: date, counts: Sequence[MessageCount]) -> Self:
        """The statistics of a range of days, both ends included."""
        by_status: dict[tuple[Channel, NotificationStatus], int] = {}
        for count in counts:
            key = Channel(count.channel), status_of(count.status)
            by_status[key] = by_status.get(key, 0) + count.messages
        return cls(
            range=DateRange(from_=first, to=last),
            total=NotificationCounts.of(counts),
            by_channel=[
                ChannelStatistics(
                    channel=channel,
                    counts=NotificationCounts.of([count for count in counts if count.channel == channel]),
                )
                for channel in Channel
            ],
            by_status=[
                StatusCount(channel=channel, status=status, count=messages)
                for (channel, status), messages in sorted(by_status.items())
            ],
        )
