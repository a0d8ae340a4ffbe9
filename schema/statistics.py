"""Figures: how many messages a run of days saw, and what became of them."""

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
    """Messages by group; test keys never count."""

    requested: int
    """Everything asked for, less what was cancelled."""
    in_progress: int
    """In progress."""
    delivered: int
    """Delivered."""
    failed: int
    """Failed."""
    cancelled: int
    """Cancelled."""
    failure_rate: float | None
    """Failed over finished, from 0 to 1; null when nothing has finished."""

    @classmethod
    def of(cls, counts: Sequence[MessageCount]) -> Self:
        """The groups of so many counts."""
        by_group = dict.fromkeys(NotificationStatusGroup, 0)
        for one in counts:
            by_group[group_of(one.status)] += one.messages
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
    """The channel."""
    counts: NotificationCounts
    """The counts."""


@value_object
class StatusCount:
    """Messages of one channel with one status."""

    channel: Channel
    """The channel."""
    status: NotificationStatus
    """The status."""
    count: int
    """Number of messages."""


@value_object
class NotificationStatistics:
    """Messages over a run of days."""

    range: DateRange
    """The days."""
    total: NotificationCounts
    """All channels together."""
    by_channel: list[ChannelStatistics]
    """One per channel."""
    by_status: list[StatusCount]
    """One per channel and status that occurs."""

    @classmethod
    def of(cls, first: date, last: date, counts: Sequence[MessageCount]) -> Self:
        """The figures of a run of days."""
        by_status: dict[tuple[Channel, NotificationStatus], int] = {}
        for one in counts:
            place = Channel(one.channel), status_of(one.status)
            by_status[place] = by_status.get(place, 0) + one.messages
        return cls(
            range=DateRange(from_=first, to=last),
            total=NotificationCounts.of(counts),
            by_channel=[
                ChannelStatistics(
                    channel=channel, counts=NotificationCounts.of([one for one in counts if one.channel == channel])
                )
                for channel in Channel
            ],
            by_status=[
                StatusCount(channel=channel, status=status, count=count)
                for (channel, status), count in sorted(by_status.items())
            ],
        )
