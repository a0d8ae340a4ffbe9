"""Statuses of messages: the one table of the groups that every count and filter uses."""

from __future__ import annotations

from graphql_api.enums import NotificationStatus, NotificationStatusGroup

_IN_GROUPS = {
    NotificationStatusGroup.IN_PROGRESS: (
        NotificationStatus.CREATED,
        NotificationStatus.SENDING,
        NotificationStatus.PENDING,
        NotificationStatus.PENDING_VIRUS_CHECK,
    ),
    NotificationStatusGroup.DELIVERED: (NotificationStatus.DELIVERED, NotificationStatus.SENT),
    NotificationStatusGroup.FAILED: (
        NotificationStatus.TECHNICAL_FAILURE,
        NotificationStatus.TEMPORARY_FAILURE,
        NotificationStatus.PERMANENT_FAILURE,
        NotificationStatus.VALIDATION_FAILED,
        NotificationStatus.VIRUS_SCAN_FAILED,
        NotificationStatus.RETURNED_LETTER,
    ),
    NotificationStatusGroup.CANCELLED: (NotificationStatus.CANCELLED,),
}
_BY_STATUS = {status.value: group for group, statuses in _IN_GROUPS.items() for status in statuses}
_STATUSES: dict[str, NotificationStatus] = {status.value: status for status in NotificationStatus}
OLD_FAILURE = "failed"
"""A status of old rows only, read as a technical failure."""
_BY_STATUS[OLD_FAILURE] = _BY_STATUS[NotificationStatus.TECHNICAL_FAILURE.value]


def status_of(stored: str) -> NotificationStatus:
    """The status that a row's text means."""
    return NotificationStatus.TECHNICAL_FAILURE if stored == OLD_FAILURE else _STATUSES[stored]


def group_of(stored: str) -> NotificationStatusGroup:
    """The group that a row's status counts in."""
    return _BY_STATUS[stored]


def stored_in(group: NotificationStatusGroup) -> list[str]:
    """Every text that rows of a group may hold."""
    texts = [status.value for status in _IN_GROUPS[group]]
    return [*texts, OLD_FAILURE] if group is NotificationStatusGroup.FAILED else texts
