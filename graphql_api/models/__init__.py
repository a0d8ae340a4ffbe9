"""The tables: a file per noun, every class by name. Import the package and say `models.Template`."""

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
from graphql_api.models.contact_lists import ContactList
from graphql_api.models.facts import BillingFact, NotificationStatusFact
from graphql_api.models.health import HealthSnapshot, TableCount
from graphql_api.models.idempotency import IdempotencyKey
from graphql_api.models.jobs import Job, JobRun
from graphql_api.models.last_writes import LastWrite
from graphql_api.models.lookups import (
    AuthType,
    BrandingType,
    JobStatus,
    KeyType,
    NotificationStatusType,
    OrganisationType,
    ServiceFeatureType,
)
from graphql_api.models.memberships import FolderPermission, InvitedUser, ServiceMemberPermission, ServiceMembership
from graphql_api.models.notifications import Delivery, Notification, NotificationAllTime, NotificationHistory
from graphql_api.models.organisations import (
    Organisation,
    OrganisationDomain,
    OrganisationFeature,
    OrganisationMemberPermission,
    OrganisationMembership,
)
from graphql_api.models.senders import EmailReplyToAddress, InboundNumber, LetterContact, SmsSender
from graphql_api.models.services import DataRetention, GuestListEntry, Service, ServiceFeature, ServiceHistory
from graphql_api.models.templates import (
    LetterAttachment,
    Template,
    TemplateFolder,
    TemplateFolderEntry,
    TemplateHistory,
    TemplateRedaction,
)
from graphql_api.models.uploads import Upload
from graphql_api.models.usage import DailyUsage, RateBucket
from graphql_api.models.users import Session, User, VerifyCode

__all__ = [
    "AnnualBilling",
    "ApiKey",
    "ApiKeyHistory",
    "ApiKeyLifetime",
    "ApiKeyUsage",
    "AuthType",
    "BillingFact",
    "BrandingType",
    "ContactList",
    "DailyUsage",
    "DataRetention",
    "DefaultAnnualAllowance",
    "Delivery",
    "EmailBranding",
    "EmailReplyToAddress",
    "FolderPermission",
    "GuestListEntry",
    "HealthSnapshot",
    "IdempotencyKey",
    "InboundNumber",
    "InvitedUser",
    "Job",
    "JobRun",
    "JobStatus",
    "KeyType",
    "LastWrite",
    "LetterAttachment",
    "LetterBranding",
    "LetterContact",
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
    "Rate",
    "RateBucket",
    "Service",
    "ServiceEmailBranding",
    "ServiceFeature",
    "ServiceFeatureType",
    "ServiceHistory",
    "ServiceLetterBranding",
    "ServiceMemberPermission",
    "ServiceMembership",
    "Session",
    "SmsSender",
    "TableCount",
    "Template",
    "TemplateFolder",
    "TemplateFolderEntry",
    "TemplateHistory",
    "TemplateRedaction",
    "Upload",
    "User",
    "VerifyCode",
    "utcnow",
]
