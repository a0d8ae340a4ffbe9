"""Statuses of messages, and the groups that every count and filter uses."""

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
LEGACY_FAILED_STATUS = "failed"
"""A status of old rows only, read as a technical failure."""
# Dictionaries, since they are read for each row: to call an enum takes ten times as long.
_STATUS_BY_VALUE = {
    **{status.value: status for status in NotificationStatus},
    LEGACY_FAILED_STATUS: NotificationStatus.TECHNICAL_FAILURE,
}
_GROUP_BY_STATUS = {status: group for group, statuses in _STATUSES_BY_GROUP.items() for status in statuses}
_GROUP_BY_VALUE = {value: _GROUP_BY_STATUS[status] for value, status in _STATUS_BY_VALUE.items()}


def status_of(stored: str) -> NotificationStatus:
    """The status that a row stores."""
    return _STATUS_BY_VALUE[stored]


def group_of(stored: str) -> NotificationStatusGroup:
    """The group of the status that a row stores."""
    return _GROUP_BY_VALUE[stored]


def stored_values(group: NotificationStatusGroup) -> list[str]:
    """The values that rows of a group store."""
    return [value for value, other in _GROUP_BY_VALUE.items() if other is group]
