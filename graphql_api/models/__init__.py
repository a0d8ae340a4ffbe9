"""The tables, as SQLAlchemy classes: columns, then relationships; never a rule.

| file | what |
|---|---|
| `base` | declarative base, constraint names, and mixins of common columns |
| `types` | PostgreSQL enum types |
| `lookups` | tables of permitted values |
| `users`, `memberships`, `invitations`, `join_requests` | people, and the services that they belong to |
| `organisations`, `services`, `branding`, `webhooks`, `events` | organisations, services, and what belongs to them |
| `templates`, `senders`, `contact_lists`, `api_keys` | what a service sends with |
| `jobs`, `uploads`, `notifications`, `letters`, `inbound_messages` | messages, and the lists of their recipients |
| `complaints`, `unsubscribe_requests` | what recipients answer to emails |
| `billing`, `facts`, `usage`, `reports` | rates, counts by day, use of limits, files of messages |
| `providers`, `health`, `changes`, `search_entries` | providers, the state of the system, the change log, search |
| `idempotency`, `last_writes` | repeated calls, and reads after a write |

Every class is imported here: use `from graphql_api import models` and `models.Template`. The files may import each
other for relationships, under `TYPE_CHECKING`; otherwise only the layers below `models`: no `database`, no GraphQL.
"""

from graphql_api.models.api_keys import ApiKey, ApiKeyHistory, ApiKeyLifetime, ApiKeyUsage
from graphql_api.models.base import Model, utcnow
from graphql_api.models.billing import AnnualBilling, DefaultAnnualAllowance, LetterRate, Rate
from graphql_api.models.branding import (
    EmailBranding,
    LetterBranding,
    OrganisationEmailBranding,
    OrganisationLetterBranding,
    ServiceEmailBranding,
    ServiceLetterBranding,
)
from graphql_api.models.changes import Change
from graphql_api.models.complaints import Complaint
from graphql_api.models.contact_lists import ContactList
from graphql_api.models.events import Event
from graphql_api.models.facts import (
    BillingFact,
    LetterDespatchFact,
    NotificationStatusFact,
    ProcessingTimeFact,
    ServiceStatisticsFact,
)
from graphql_api.models.health import HealthSnapshot, TableCount
from graphql_api.models.idempotency import IdempotencyKey
from graphql_api.models.inbound_messages import InboundMessage, InboundMessageHistory
from graphql_api.models.invitations import InvitedOrganisationUser, InvitedUser
from graphql_api.models.jobs import Job, JobRun
from graphql_api.models.join_requests import JoinRequest, JoinRequestContact
from graphql_api.models.last_writes import LastWrite
from graphql_api.models.letters import LetterDespatch, ReturnedLetter
from graphql_api.models.lookups import (
    AuthType,
    BrandingType,
    InviteStatusType,
    JobStatus,
    KeyType,
    NotificationStatusType,
    OrganisationType,
    ServiceFeatureType,
    WebhookType,
)
from graphql_api.models.memberships import FolderPermission, ServiceMemberPermission, ServiceMembership
from graphql_api.models.notifications import Delivery, Notification, NotificationAllTime, NotificationHistory
from graphql_api.models.organisations import (
    Organisation,
    OrganisationDomain,
    OrganisationFeature,
    OrganisationMemberPermission,
    OrganisationMembership,
)
from graphql_api.models.providers import Provider, ProviderHistory
from graphql_api.models.reports import ReportRequest
from graphql_api.models.search_entries import SearchEntry
from graphql_api.models.senders import EmailReplyToAddress, InboundNumber, LetterContact, ProtectedSenderId, SmsSender
from graphql_api.models.services import DataRetention, GuestListEntry, Service, ServiceFeature, ServiceHistory
from graphql_api.models.templates import (
    LetterAttachment,
    Template,
    TemplateEmailFile,
    TemplateEmailFileHistory,
    TemplateFolder,
    TemplateFolderEntry,
    TemplateHistory,
    TemplateRedaction,
)
from graphql_api.models.unsubscribe_requests import UnsubscribeReport, UnsubscribeRequest, UnsubscribeRequestHistory
from graphql_api.models.uploads import Upload
from graphql_api.models.usage import DailyUsage, RateBucket
from graphql_api.models.users import SecurityKey, Session, User, VerifyCode
from graphql_api.models.webhooks import Webhook, WebhookHistory

__all__ = [
    "AnnualBilling",
    "ApiKey",
    "ApiKeyHistory",
    "ApiKeyLifetime",
    "ApiKeyUsage",
    "AuthType",
    "BillingFact",
    "BrandingType",
    "Change",
    "Complaint",
    "ContactList",
    "DailyUsage",
    "DataRetention",
    "DefaultAnnualAllowance",
    "Delivery",
    "EmailBranding",
    "EmailReplyToAddress",
    "Event",
    "FolderPermission",
    "GuestListEntry",
    "HealthSnapshot",
    "IdempotencyKey",
    "InboundMessage",
    "InboundMessageHistory",
    "InboundNumber",
    "InviteStatusType",
    "InvitedOrganisationUser",
    "InvitedUser",
    "Job",
    "JobRun",
    "JobStatus",
    "JoinRequest",
    "JoinRequestContact",
    "KeyType",
    "LastWrite",
    "LetterAttachment",
    "LetterBranding",
    "LetterContact",
    "LetterDespatch",
    "LetterDespatchFact",
    "LetterRate",
    "Model",
    "Notification",
    "NotificationAllTime",
    "NotificationHistory",
    "NotificationStatusFact",
    "NotificationStatusType",
    "Organisation",
    "OrganisationDomain",
    "OrganisationEmailBranding",
    "OrganisationFeature",
    "OrganisationLetterBranding",
    "OrganisationMemberPermission",
    "OrganisationMembership",
    "OrganisationType",
    "ProcessingTimeFact",
    "ProtectedSenderId",
    "Provider",
    "ProviderHistory",
    "Rate",
    "RateBucket",
    "ReportRequest",
    "ReturnedLetter",
    "SearchEntry",
    "SecurityKey",
    "Service",
    "ServiceEmailBranding",
    "ServiceFeature",
    "ServiceFeatureType",
    "ServiceHistory",
    "ServiceLetterBranding",
    "ServiceMemberPermission",
    "ServiceMembership",
    "ServiceStatisticsFact",
    "Session",
    "SmsSender",
    "TableCount",
    "Template",
    "TemplateEmailFile",
    "TemplateEmailFileHistory",
    "TemplateFolder",
    "TemplateFolderEntry",
    "TemplateHistory",
    "TemplateRedaction",
    "UnsubscribeReport",
    "UnsubscribeRequest",
    "UnsubscribeRequestHistory",
    "Upload",
    "User",
    "VerifyCode",
    "Webhook",
    "WebhookHistory",
    "WebhookType",
    "utcnow",
]
