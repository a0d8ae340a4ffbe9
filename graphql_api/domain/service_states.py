"""States of a service, and the check that one is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api.enums import ServiceStatus, UserErrorCode
from graphql_api.errors import IllegalState

if TYPE_CHECKING:
    from graphql_api import models

TRIAL, LIVE, ARCHIVED = (status.name for status in (ServiceStatus.TRIAL, ServiceStatus.LIVE, ServiceStatus.ARCHIVED))


def require_active(service: models.Service, *path: str) -> None:
    """Raise `IllegalState` for an archived service; `path` is `service_id` unless given."""
    if not service.active:
        raise IllegalState(
            "The service is archived.",
            *(path or ("service_id",)),
            current=ARCHIVED,
            allowed=[TRIAL, LIVE],
            code=UserErrorCode.SERVICE_ARCHIVED,
        )
