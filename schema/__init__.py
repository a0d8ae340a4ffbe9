"""The GraphQL schema: every noun's part of Query and Mutation, put together."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from graphql_api.limits.extension import LimitsExtension
from graphql_api.observability.error_masking import ErrorMaskingSchema
from schema import enums as _registered_words  # noqa: F401 - importing them registers them
from schema import errors
from schema.api_keys import ApiKeyMutations
from schema.changes import ChangeQueries
from schema.core import SCALARS, NodeQueries
from schema.jobs import JobMutations, JobQueries
from schema.members import MemberMutations
from schema.notifications import NotificationMutations, NotificationQueries
from schema.operations import OperationQueries
from schema.organisations import OrganisationMutations, OrganisationQueries
from schema.progress import JobSubscriptions
from schema.recipients import RecipientQueries
from schema.search_entries import SearchQueries
from schema.server import ServerQueries
from schema.services import ServiceMutations, ServiceQueries
from schema.sessions import SessionMutations
from schema.system_health import SystemHealthQueries
from schema.templates import TemplateMutations, TemplateQueries
from schema.users import UserMutations, UserQueries
from schema.viewer import ViewerQueries


@strawberry.type(description="Reading. Root fields are nullable, so that an error in one leaves the others' data.")
class Query(
    ChangeQueries,
    JobQueries,
    NodeQueries,
    NotificationQueries,
    OperationQueries,
    OrganisationQueries,
    RecipientQueries,
    SearchQueries,
    ServerQueries,
    ServiceQueries,
    SystemHealthQueries,
    TemplateQueries,
    UserQueries,
    ViewerQueries,
):
    """Every noun's reads."""


@strawberry.type(description="Writing. Fields run in order; each is a transaction of its own.")
class Mutation(
    ApiKeyMutations,
    JobMutations,
    MemberMutations,
    NotificationMutations,
    OrganisationMutations,
    ServiceMutations,
    SessionMutations,
    TemplateMutations,
    UserMutations,
):
    """Every noun's changes."""


@strawberry.type(
    description="Following, by WebSocket (graphql-transport-ws) or server-sent events; permission is checked on "
    "connecting and on every event."
)
class Subscription(JobSubscriptions):
    """Every noun's news."""


schema = ErrorMaskingSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[kind for kind, _ in errors.ERROR_TYPES.values()],
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[LimitsExtension],
)

__all__ = ["schema"]
