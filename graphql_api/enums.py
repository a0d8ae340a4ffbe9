"""Enums, with the names of the GraphQL schema and the values that the database stores."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class DatabaseEnum(StrEnum):
    """The base of all enums: a member's name is GraphQL's, its value is what the database stores."""

    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """A member with the description that the schema shows."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


class AuditAction(DatabaseEnum):
    """Kinds of change."""

    CREATE = "insert", "Added."
    UPDATE = "update", "Changed."
    DELETE = "delete", "Removed."


class AuthType(DatabaseEnum):
    """Second factors of signing in."""

    SMS = "sms_auth", "Five-digit code by text message."
    EMAIL = "email_auth", "Link by email."
    WEBAUTHN = "webauthn_auth", "Security key."


class Channel(DatabaseEnum):
    """Ways to send a message."""

    EMAIL = "email", "Email."
    SMS = "sms", "Text message."
    LETTER = "letter", "Printed and posted letter."


class ErrorPolicy(DatabaseEnum):
    """What to do when some rows are bad."""

    SEND_NOTHING = "send_nothing", "One bad row stops everything."
    SEND_GOOD_ROWS = (
        "send_good_rows",
        "Rows without errors are sent; in a job, the others become VALIDATION_FAILED messages.",
    )


class JobOrderField(DatabaseEnum):
    """What jobs can be ordered by."""

    CREATED_AT = "created_at", "When it was made."
    SCHEDULED_FOR = "scheduled_for", "When it is to start; those without a time come last."
    PROCESSING_STARTED_AT = "processing_started_at", "When it started; those not started come last."


class JobStatus(DatabaseEnum):
    """Status of a job."""

    SCHEDULED = "scheduled", "Waits for its time."
    PENDING = "pending", "Waits to be read."
    IN_PROGRESS = "in progress", "Rows are being turned into messages."
    FINISHED = "finished", "Every row has been queued."
    FINISHED_ALL_NOTIFICATIONS_CREATED = "finished all notifications created", "Every row is a message in the database."
    SENDING_LIMITS_EXCEEDED = (
        "sending limits exceeded",
        "The list did not fit in the day's limit, so none of it was sent.",
    )
    CANCELLED = "cancelled", "Stopped before it started or, for letters, before printing."
    ERROR = "error", "Stopped part-way; will be resumed after the last row that became a message."
    READY_TO_SEND = "ready to send", "Letters only, in old data."
    SENT_TO_DVLA = "sent to dvla", "Letters only, in old data."


class KeyType(DatabaseEnum):
    """Kinds of API key."""

    LIVE = "normal", 'Sends to anyone once the service is live; GOV.UK Notify stores it as "normal".'
    TEAM = "team", "Sends to team members and the guest list only, and never letters."
    TEST = "test", "Every check is made, but nothing is sent: delivery is simulated, nothing is billed or counted."


class LengthUnit(DatabaseEnum):
    """What a message's length is counted in."""

    CHARACTERS = "characters", "Text messages."
    BYTES = "bytes", "Emails."
    PAGES = "pages", "Letters."


class LetterLanguages(DatabaseEnum):
    """Languages of a letter."""

    ENGLISH = "english", "English only."
    WELSH_THEN_ENGLISH = "welsh_then_english", "Welsh pages, then English ones."


class NotificationOrderField(DatabaseEnum):
    """What messages can be ordered by."""

    CREATED_AT = "created_at", "When it was accepted."
    JOB_ROW_NUMBER = "job_row_number", "Row in the job's list; only for one job's messages."


class NotificationStatus(DatabaseEnum):
    """Status of a message."""

    CREATED = "created", "Accepted, waits to be handed to a provider."
    SENDING = "sending", "Handed to the provider."
    SENT = "sent", "Text message handed to a network abroad that may never report back."
    DELIVERED = "delivered", "Received; for a letter, printed and posted."
    PENDING = "pending", "The provider has it and is still trying."
    TECHNICAL_FAILURE = "technical-failure", "An error between this service and the provider; nothing was sent."
    TEMPORARY_FAILURE = (
        "temporary-failure",
        "Could not be delivered this time: phone off, inbox full, or no receipt within three days.",
    )
    PERMANENT_FAILURE = "permanent-failure", "Cannot be delivered: no such number or address."
    PENDING_VIRUS_CHECK = "pending-virus-check", "A letter's PDF waits for its scan."
    VIRUS_SCAN_FAILED = "virus-scan-failed", "A letter's PDF holds a virus."
    VALIDATION_FAILED = "validation-failed", "The recipient or content broke a rule after it was accepted."
    RETURNED_LETTER = "returned-letter", "A letter came back undelivered."
    CANCELLED = "cancelled", "Cancelled before it was sent."


class NotificationStatusGroup(DatabaseEnum):
    """Groups that every count and filter uses."""

    IN_PROGRESS = "in_progress", "CREATED, SENDING, PENDING and PENDING_VIRUS_CHECK."
    DELIVERED = "delivered", "DELIVERED and SENT."
    FAILED = (
        "failed",
        "Every failure, failed validations and virus scans, and returned letters.",
    )
    CANCELLED = "cancelled", "CANCELLED."


class OrganisationFeature(DatabaseEnum):
    """Things that can be switched on for an organisation."""

    ASK_TO_JOIN_SERVICE = (
        "can_ask_to_join_a_service",
        "People with a matching email domain may ask to join its services.",
    )


class OrganisationOrderField(DatabaseEnum):
    """What organisations can be ordered by."""

    NAME = "name", "Name."
    CREATED_AT = "created_at", "When it was added."


class OrganisationPermission(DatabaseEnum):
    """What a member of an organisation may do beyond seeing it."""

    MAKE_SERVICES_LIVE = "can_make_services_live", "Approve or refuse a service's request to go live."


class OrganisationType(DatabaseEnum):
    """Kinds of public body."""

    CENTRAL = "central", "Central government."
    LOCAL = "local", "Local government."
    NHS_CENTRAL = "nhs_central", "NHS, central body."
    NHS_LOCAL = "nhs_local", "NHS trust or other local body."
    NHS_GP = "nhs_gp", "GP surgery."
    NHS_NOTIFY = "nhs_notify", "A service of NHS Notify."
    EMERGENCY_SERVICE = "emergency_service", "Police, fire or ambulance service."
    SCHOOL_OR_COLLEGE = "school_or_college", "School or college."
    OTHER = "other", "Anything else."


class Postage(DatabaseEnum):
    """Classes of post."""

    FIRST = "first", "First class."
    SECOND = "second", "Second class."
    ECONOMY = "economy", "Economy."
    EUROPE = "europe", "Europe; decided by the address."
    REST_OF_WORLD = "rest-of-world", "Rest of the world; decided by the address."


class RecipientNotAllowedReason(DatabaseEnum):
    """Why a service may send to its team and guest list only."""

    TRIAL_MODE = "trial_mode", "In trial, people may send to team members only; API keys also to the guest list."
    TEAM_KEY = "team_key", "Team keys send to team members and the guest list only, even when the service is live."


class SearchType(DatabaseEnum):
    """What can be searched for."""

    ORGANISATION = "organisation", "Organisations by name."
    SERVICE = "service", "Services by name."
    TEMPLATE = "template", "Templates by name and subject."
    USER = "user", "People by name and address."


class ServiceFeature(DatabaseEnum):
    """Things that can be switched on for a service."""

    EMAIL = "email", "Send emails."
    SMS = "sms", "Send text messages."
    LETTER = "letter", "Send letters."
    INTERNATIONAL_SMS = "international_sms", "Send text messages abroad."
    INTERNATIONAL_LETTERS = "international_letters", "Send letters abroad."
    INBOUND_SMS = "inbound_sms", "Receive text messages."
    SMS_TO_UK_LANDLINES = "sms_to_uk_landlines", "Send text messages to UK landlines."
    EMAIL_AUTH = "email_auth", "Members may sign in with an emailed link."
    EDIT_FOLDER_PERMISSIONS = "edit_folder_permissions", "Members may differ in the folders they can open."


class ServiceOrderField(DatabaseEnum):
    """What services can be ordered by."""

    NAME = "name", "Name."
    CREATED_AT = "created_at", "When it was made."
    WENT_LIVE_AT = "went_live_at", "When it went live; those still in trial come last."


class ServicePermission(DatabaseEnum):
    """What a member may do in a service."""

    VIEW_ACTIVITY = "view_activity", "See messages, jobs and figures."
    SEND_TEXTS = "send_texts", "Send text messages."
    SEND_EMAILS = "send_emails", "Send emails."
    SEND_LETTERS = "send_letters", "Send letters."
    MANAGE_TEMPLATES = "manage_templates", "Add and edit templates and folders."
    MANAGE_API_KEYS = "manage_api_keys", "Manage keys, webhooks and the guest list."
    MANAGE_SETTINGS = "manage_settings", "Change settings, see usage and the audit log."
    MANAGE_USERS = "manage_users", "Invite, change and remove members."


class ServiceStatus(DatabaseEnum):
    """Status of a service."""

    TRIAL = "trial", "Sends only to its own team and, by API key, its guest list, with low daily limits."
    LIVE = "live", "Sends to anyone."
    ARCHIVED = "archived", "Closed for good: keys revoked, templates archived, the name freed."


class SmsEncoding(DatabaseEnum):
    """Alphabets of a text message."""

    GSM7 = "gsm7", "7-bit, 160 characters in one fragment."
    UCS2 = "ucs2", "16-bit, 70 characters in one fragment."


class SortDirection(DatabaseEnum):
    """Direction of an ordering."""

    ASC = "asc", "Smallest, earliest or alphabetically first comes first."
    DESC = "desc", "Largest, latest or alphabetically last comes first."


class TemplateOrderField(DatabaseEnum):
    """What templates can be ordered by."""

    NAME = "name", "Name, then channel."
    CREATED_AT = "created_at", "When the first version was made."
    UPDATED_AT = "updated_at", "When it last changed."


class UserErrorCode(DatabaseEnum):
    """Reasons a mutation can be refused."""

    REQUIRED = "REQUIRED", "A value is missing or empty."
    INVALID = "INVALID", "A value has the wrong form."
    TOO_LONG = "TOO_LONG", "A value is too long."
    TOO_SHORT = "TOO_SHORT", "A value is too short."
    OUT_OF_RANGE = "OUT_OF_RANGE", "A number, date or count is outside its bounds."
    NOT_FOUND = "NOT_FOUND", "Nothing visible to the caller has this id."
    ALREADY_EXISTS = "ALREADY_EXISTS", "A name, address, domain or the like is taken."
    RESERVED = "RESERVED", "The word may not be used, for example a protected sender name."
    IN_USE = "IN_USE", "Something still depends on the object."
    NONE_AVAILABLE = "NONE_AVAILABLE", "The pool is empty, for example of inbound numbers."
    ILLEGAL_STATE = "ILLEGAL_STATE", "The object's state does not allow the change."
    VERSION_CONFLICT = "VERSION_CONFLICT", "The object has a newer version than `expectedVersion`."
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED", "The idempotency key was used before with different arguments."
    IDEMPOTENCY_KEY_IN_PROGRESS = (
        "IDEMPOTENCY_KEY_IN_PROGRESS",
        "The first call with the idempotency key has not finished.",
    )
    SERVICE_ARCHIVED = "SERVICE_ARCHIVED", "The service is closed."
    SERVICE_IN_TRIAL_MODE = "SERVICE_IN_TRIAL_MODE", "A service in trial may not do this."
    CHANNEL_NOT_ENABLED = "CHANNEL_NOT_ENABLED", "The channel is not one of the service's features."
    KEY_TYPE_NOT_ALLOWED = "KEY_TYPE_NOT_ALLOWED", "This kind of API key may not do this."
    TEMPLATE_ARCHIVED = "TEMPLATE_ARCHIVED", "The template has been archived."
    TEMPLATE_CHANNEL_MISMATCH = (
        "TEMPLATE_CHANNEL_MISMATCH",
        "The recipient or content is for another channel than the template's.",
    )
    MISSING_PERSONALISATION = "MISSING_PERSONALISATION", "Placeholders have no value."
    MESSAGE_TOO_LONG = "MESSAGE_TOO_LONG", "The message with its values in is over the limit for its channel."
    MESSAGE_EMPTY = "MESSAGE_EMPTY", "The message with its values is empty."
    QR_CODE_TOO_LONG = "QR_CODE_TOO_LONG", "The content of a letter's QR code is too long."
    RECIPIENT_NOT_ALLOWED = "RECIPIENT_NOT_ALLOWED", "The recipient is outside the team and guest list."
    INTERNATIONAL_NOT_ALLOWED = "INTERNATIONAL_NOT_ALLOWED", "The service may not send abroad."
    LANDLINE_NOT_ALLOWED = "LANDLINE_NOT_ALLOWED", "The service may not text UK landlines."
    UNSUPPORTED_COUNTRY = "UNSUPPORTED_COUNTRY", "The country is not in the rate table."
    POSTAGE_NOT_ALLOWED = "POSTAGE_NOT_ALLOWED", "The postage does not suit the address."
    CONTACT_LINK_MISSING = "CONTACT_LINK_MISSING", "Files cannot be sent by email until the service has a contact link."
    RATE_LIMITED = "RATE_LIMITED", "Too many requests a minute for this kind of key."
    DAILY_LIMIT_EXCEEDED = "DAILY_LIMIT_EXCEEDED", "The channel's daily limit would be passed."
    SCHEDULED_TIME_IN_PAST = "SCHEDULED_TIME_IN_PAST", "The time to send has gone by."
    SCHEDULED_TIME_TOO_FAR_AHEAD = "SCHEDULED_TIME_TOO_FAR_AHEAD", "The time to send is more than seven days ahead."
    PHONE_INVALID = "PHONE_INVALID", "Not a phone number."
    PHONE_TOO_SHORT = "PHONE_TOO_SHORT", "Too few digits."
    PHONE_TOO_LONG = "PHONE_TOO_LONG", "Too many digits."
    PHONE_NOT_UK_MOBILE = "PHONE_NOT_UK_MOBILE", "Not a UK mobile number where one is needed."
    PHONE_UNKNOWN_CHARACTER = "PHONE_UNKNOWN_CHARACTER", "A character other than digits, white space and ( ) - +."
    EMAIL_INVALID = "EMAIL_INVALID", "Not an email address."
    ADDRESS_TOO_FEW_LINES = "ADDRESS_TOO_FEW_LINES", "Fewer than three lines of address."
    ADDRESS_TOO_MANY_LINES = "ADDRESS_TOO_MANY_LINES", "More than seven lines of address."
    ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY = (
        "ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY",
        "The last line is neither a UK postcode nor an allowed country.",
    )
    ADDRESS_INVALID_CHARACTERS = (
        "ADDRESS_INVALID_CHARACTERS",
        "A line starts with a forbidden character or has no letter or digit where one is needed.",
    )
    ADDRESS_NO_FIXED_ABODE = "ADDRESS_NO_FIXED_ABODE", "The address says that there is no fixed abode."
    FILE_EMPTY = "FILE_EMPTY", "The list has no rows."
    FILE_UNREADABLE = "FILE_UNREADABLE", "The file could not be read as a list."
    FILE_TOO_LARGE = "FILE_TOO_LARGE", "The file is over 10 MB or 1,000 columns."
    TOO_MANY_ROWS = "TOO_MANY_ROWS", "The list has more than 100,000 rows, or the call more than 250."
    MISSING_RECIPIENT_COLUMN = "MISSING_RECIPIENT_COLUMN", "The list has no column for recipients."
    DUPLICATE_RECIPIENT_COLUMN = "DUPLICATE_RECIPIENT_COLUMN", "The list has a recipient column twice."
    MISSING_PLACEHOLDER_COLUMN = "MISSING_PLACEHOLDER_COLUMN", "The list lacks a column that the template needs."
    LAST_ADMINISTRATOR = "LAST_ADMINISTRATOR", "The service would be left without enough people who can manage it."
    EMAIL_DOMAIN_NOT_ALLOWED = (
        "EMAIL_DOMAIN_NOT_ALLOWED",
        "The address is not a government address, and its owner has no invitation.",
    )
    PASSWORD_TOO_COMMON = "PASSWORD_TOO_COMMON", "The password is on the list of common ones."
    CODE_WRONG = "CODE_WRONG", "The code is wrong or the account is locked; the two are not distinguished."
    CODE_EXPIRED = "CODE_EXPIRED", "The code has expired or was used before; the two are not distinguished."
    CREDENTIALS_WRONG = "CREDENTIALS_WRONG", "The address or the password is wrong."
    LINK_INVALID = "LINK_INVALID", "The token of a link is broken."
    LINK_EXPIRED = "LINK_EXPIRED", "The token of a link is too old."
    INVITATION_CANCELLED = "INVITATION_CANCELLED", "The invitation was withdrawn."
    GO_LIVE_CHECKLIST_INCOMPLETE = "GO_LIVE_CHECKLIST_INCOMPLETE", "The go-live checklist is not complete."


class UserOrderField(DatabaseEnum):
    """What people can be ordered by."""

    NAME = "name", "Name."
    EMAIL_ADDRESS = "email_address", "Address."
    CREATED_AT = "created_at", "When they registered."


class UserState(DatabaseEnum):
    """Whether a person can sign in."""

    PENDING = "pending", "Registered, has not yet proved both email address and phone."
    ACTIVE = "active", "Can sign in."
    INACTIVE = "inactive", "Archived: details overwritten, address freed, memberships removed."
