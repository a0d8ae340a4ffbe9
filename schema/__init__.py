"""The GraphQL schema: one file per noun, combined into Query, Mutation and Subscription.

    core                                what the files below are made with; imports no noun
    enums, errors, mutations            enums of the API, entries of `userErrors`, the decorators of mutations
    refs                                lazy references between types of different files: the one circle that is allowed
    money, ranges, actors               types that several nouns share: amounts, ranges of time, people and API keys
    statistics, messages, usage         the same: numbers of messages, rendered messages, a year's usage and its cost
    organisations, services             the nouns: entity, filters, fields of Query, mutations
    users, members, api_keys            people, their membership of services, API keys
    templates, notifications            templates and their versions; single messages
    jobs, recipients                    jobs, and the lists of recipients that they are made of
    billing_details, service_details    values and inputs of organisations and services
    template_contents                   the content of templates
    notification_details                values computed from a message
    sessions, challenges, viewer        signing in, its second step, the caller
    progress                            the subscription `jobProgress`
    search_entries, changes             search; the audit log
    operations, server, system_health   points of the operation; version of the server; health for platform admins

Translates between GraphQL and `loaders` (reads) and `graphql_api.domain` (writes); imports no SQL.
"""

import strawberry
from strawberry.schema.config import StrawberryConfig

from graphql_api.limits.extension import LimitsExtension
from graphql_api.observability.error_masking import ErrorMaskingSchema
from schema import enums as _registered_enums  # noqa: F401 - importing them registers them
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


@strawberry.type(description="Reading. Root fields are nullable: an error in one leaves the data of the others.")
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
    """The fields of Query of every noun."""


@strawberry.type(
    description="Writing. Fields run in order, each in its own transaction; null only beside a top-level error."
)
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
    """The fields of Mutation of every noun."""


@strawberry.type(
    description="Following, by WebSocket (graphql-transport-ws) or server-sent events; permission is checked on "
    "connecting and on every event."
)
class Subscription(JobSubscriptions):
    """The fields of Subscription of every noun."""


schema = ErrorMaskingSchema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[kind for kind, _ in errors.ERROR_TYPES.values()],
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[LimitsExtension],
)

__all__ = ["schema"]
