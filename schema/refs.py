"""Lazy references to types of other modules, which circular types need; no other module has any."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from schema.api_keys import ApiKey
    from schema.jobs import Job
    from schema.members import ServiceMembership
    from schema.notifications import Notification
    from schema.organisations import Organisation
    from schema.services import Service
    from schema.templates import Template, TemplateVersion
    from schema.users import User
else:
    ApiKey = Annotated["ApiKey", strawberry.lazy("schema.api_keys")]
    Job = Annotated["Job", strawberry.lazy("schema.jobs")]
    Notification = Annotated["Notification", strawberry.lazy("schema.notifications")]
    Organisation = Annotated["Organisation", strawberry.lazy("schema.organisations")]
    Service = Annotated["Service", strawberry.lazy("schema.services")]
    ServiceMembership = Annotated["ServiceMembership", strawberry.lazy("schema.members")]
    Template = Annotated["Template", strawberry.lazy("schema.templates")]
    TemplateVersion = Annotated["TemplateVersion", strawberry.lazy("schema.templates")]
    User = Annotated["User", strawberry.lazy("schema.users")]

__all__ = [
    "ApiKey",
    "Job",
    "Notification",
    "Organisation",
    "Service",
    "ServiceMembership",
    "Template",
    "TemplateVersion",
    "User",
]
