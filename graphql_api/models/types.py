"""The PostgreSQL enum types that columns use; a value in Python is a plain string."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import ENUM

notification_type = ENUM("email", "sms", "letter", name="notification_type")
template_type = ENUM("sms", "email", "letter", "broadcast", name="template_type")
letter_language_options = ENUM("english", "welsh_then_english", name="letter_language_options")
permission_types = ENUM(
    "manage_users",
    "manage_templates",
    "manage_settings",
    "send_texts",
    "send_emails",
    "send_letters",
    "manage_api_keys",
    "platform_admin",
    "view_activity",
    # No longer in use, except in old rows.
    "create_broadcasts",
    "approve_broadcasts",
    "cancel_broadcasts",
    "reject_broadcasts",
    name="permission_types",
)
organisation_permission_types = ENUM("can_ask_to_join_a_service", name="organisation_permission_types")
organisation_user_permission_types = ENUM("can_make_services_live", name="organisation_user_permission_types")
invited_users_status_types = ENUM("pending", "accepted", "cancelled", name="invited_users_status_types")
recipient_type = ENUM("mobile", "email", name="recipient_type")
letter_despatch_cost_threshold = ENUM("sorted", "unsorted", name="letter_despatch_cost_threshold")
report_request_report_type = ENUM("notifications", name="report_request_report_type")
report_request_status_type = ENUM(
    "pending", "in progress", "stored", "failed", "deleted", name="report_request_status_type"
)
service_join_requests_status_type = ENUM(
    "pending", "approved", "rejected", "cancelled", name="service_join_requests_status_type"
)
verify_code_types = ENUM("email", "sms", name="verify_code_types")
