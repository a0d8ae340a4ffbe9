"""Statuses of messages: the one table of the groups that every count and filter uses."""

from __future__ import annotations

from graphql_api.enums import NotificationStatus, NotificationStatusGroup

_STATUSES_BY_GROUP = {
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
_GROUP_BY_VALUE = {status.value: group for group, statuses in _STATUSES_BY_GROUP.items() for status in statuses}
_STATUS_BY_VALUE: dict[str, NotificationStatus] = {status.value: status for status in NotificationStatus}
LEGACY_FAILED_STATUS = "failed"
"""A status of old rows only, read as a technical failure."""
_GROUP_BY_VALUE[LEGACY_FAILED_STATUS] = _GROUP_BY_VALUE[NotificationStatus.TECHNICAL_FAILURE.value]


def status_of(stored: str) -> NotificationStatus:
    """The status that a row's text means."""
    return NotificationStatus.TECHNICAL_FAILURE if stored == LEGACY_FAILED_STATUS else _STATUS_BY_VALUE[stored]


def group_of(stored: str) -> NotificationStatusGroup:
    """The group that a row's status counts in."""
    return _GROUP_BY_VALUE[stored]


def stored_values(group: NotificationStatusGroup) -> list[str]:
    """Every text that rows of a group may hold."""
    texts = [status.value for status in _STATUSES_BY_GROUP[group]]
    return [*texts, LEGACY_FAILED_STATUS] if group is NotificationStatusGroup.FAILED else texts
