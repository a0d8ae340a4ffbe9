"""States of a service, and what may be done in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api.enums import ServiceStatus, UserErrorCode
from graphql_api.errors import IllegalState

if TYPE_CHECKING:
    from graphql_api import models

TRIAL, LIVE, ARCHIVED = (status.name for status in (ServiceStatus.TRIAL, ServiceStatus.LIVE, ServiceStatus.ARCHIVED))


def require_active(service: models.Service, *path: str) -> None:
    """Refuse to change anything of a service that is closed."""
    if not service.active:
        raise IllegalState(
            "The service is archived.",
            *(path or ("service_id",)),
            current=ARCHIVED,
            allowed=[TRIAL, LIVE],
            code=UserErrorCode.SERVICE_ARCHIVED,
        )
