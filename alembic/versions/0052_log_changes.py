"""Add triggers that log changes of administrative tables.

Arguments of a trigger: whether a row is an entity or belongs to one; the columns with the ids of the entity, its
service and its organisation; the columns that are logged with their values; and those that are logged without them. No
other column of the table is logged, nor any that is added later.

The triggers depend on no column, so that the owner of a table can still change its columns.
"""

from collections.abc import Iterator

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None
of_notify = True

BILLING = "notes purchase_order_number billing_contact_names billing_contact_email_addresses billing_reference"
WHOLE, PART = "whole", "part"

LOGGED = {
    "organisation": (
        WHOLE,
        "id",
        "",
        "id",
        (
            "name active crown organisation_type email_branding_id letter_branding_id agreement_signed"
            " agreement_signed_at agreement_signed_by_id agreement_signed_version request_to_go_live_notes"
            " can_approve_own_go_live_requests"
        ),
        f"{BILLING} agreement_signed_on_behalf_of_name agreement_signed_on_behalf_of_email_address",
    ),
    "domain": (PART, "organisation_id", "", "organisation_id", "domain", ""),
    "organisation_permissions": (PART, "organisation_id", "", "organisation_id", "permission", ""),
    "user_to_organisation": (WHOLE, "user_id", "", "organisation_id", "user_id organisation_id", ""),
    "organisation_user_permissions": (PART, "user_id", "", "organisation_id", "permission", ""),
    "email_branding": (WHOLE, "id", "", "", "name colour logo text alt_text brand_type active", ""),
    "letter_branding": (WHOLE, "id", "", "", "name filename", ""),
    "email_branding_to_organisation": (PART, "organisation_id", "", "organisation_id", "email_branding_id", ""),
    "letter_branding_to_organisation": (PART, "organisation_id", "", "organisation_id", "letter_branding_id", ""),
    "users": (
        WHOLE,
        "id",
        "",
        "",
        "state auth_type platform_admin take_part_in_research receives_new_features_email",
        "name email_address mobile_number _password",
    ),
    "webauthn_credential": (PART, "user_id", "", "", "", "name"),
    "invited_organisation_users": (
        WHOLE,
        "id",
        "",
        "organisation_id",
        "invited_by_id status permissions",
        "email_address",
    ),
    "provider_details": (
        WHOLE,
        "id",
        "",
        "",
        "display_name identifier notification_type priority active supports_international reason",
        "",
    ),
    "services": (
        WHOLE,
        "id",
        "id",
        "",
        (
            "name active restricted organisation_id organisation_type crown count_as_live go_live_at go_live_user_id"
            " has_active_go_live_request rate_limit email_message_limit sms_message_limit letter_message_limit"
            " international_sms_message_limit prefix_sms email_sender_local_part custom_email_sender_name"
            " confirmed_email_sender_name contact_link consent_to_research volume_email volume_letter volume_sms"
        ),
        BILLING,
    ),
    "service_permissions": (PART, "service_id", "service_id", "", "permission", ""),
    "service_email_branding": (PART, "service_id", "service_id", "", "email_branding_id", ""),
    "service_letter_branding": (PART, "service_id", "service_id", "", "letter_branding_id", ""),
    "service_whitelist": (PART, "service_id", "service_id", "", "recipient_type", "recipient"),
    "service_data_retention": (WHOLE, "id", "service_id", "", "notification_type days_of_retention", ""),
    "annual_billing": (
        PART,
        "service_id",
        "service_id",
        "",
        "financial_year_start free_sms_fragment_limit has_custom_allowance high_volume_service_last_year",
        "",
    ),
    "user_to_service": (WHOLE, "user_id", "service_id", "", "user_id service_id", ""),
    "permissions": (PART, "user_id", "service_id", "", "permission", ""),
    "user_folder_permissions": (PART, "user_id", "service_id", "", "template_folder_id", ""),
    "invited_users": (
        WHOLE,
        "id",
        "service_id",
        "",
        "user_id status permissions auth_type folder_permissions",
        "email_address",
    ),
    "service_join_requests": (
        WHOLE,
        "id",
        "service_id",
        "",
        "requester_id status status_changed_by_id",
        "reason",
    ),
    "service_callback_api": (WHOLE, "id", "service_id", "", "callback_type", "url bearer_token"),
    "service_sms_senders": (WHOLE, "id", "service_id", "", "sms_sender is_default archived inbound_number_id", ""),
    "service_email_reply_to": (WHOLE, "id", "service_id", "", "email_address is_default archived", ""),
    "service_letter_contacts": (WHOLE, "id", "service_id", "", "contact_block is_default archived", ""),
    "inbound_numbers": (WHOLE, "id", "service_id", "", "number provider service_id active", ""),
    "api_keys": (WHOLE, "id", "service_id", "", "name key_type expiry_date", ""),
    "api_key_lifetimes": (PART, "api_key_id", "of key", "", "expires_at revoked_at revoked_by_id", ""),
    "templates": (
        WHOLE,
        "id",
        "service_id",
        "",
        (
            "name template_type archived hidden has_unsubscribe_link postage service_letter_contact_id"
            " letter_attachment_id letter_languages"
        ),
        "subject content letter_welsh_subject letter_welsh_content",
    ),
    "template_redacted": (PART, "template_id", "of template", "", "redact_personalisation", ""),
    "template_folder": (WHOLE, "id", "service_id", "", "name parent_id", ""),
    "template_email_files": (
        WHOLE,
        "id",
        "of template",
        "",
        "filename retention_period validate_users_email archived_at pending",
        "link_text",
    ),
    "template_folder_map": (PART, "template_id", "of template", "", "template_folder_id", ""),
}


EVENTS = {"template_redacted": "UPDATE"}  # its row is inserted with the template's, without new information


def statements() -> Iterator[str]:
    """Repeatable: `migrate --log` executes them on tables that Notify created."""
    # SECURITY DEFINER: the role that changes a row needs no permission on the log.
    yield """
        CREATE OR REPLACE FUNCTION log_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            old_row jsonb := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE jsonb_strip_nulls(to_jsonb(OLD)) END;
            new_row jsonb := CASE WHEN TG_OP = 'DELETE' THEN '{}' ELSE jsonb_strip_nulls(to_jsonb(NEW)) END;
            either_row jsonb := old_row || new_row;
            thing uuid := either_row ->> TG_ARGV[1];
            service uuid;
        BEGIN
            IF thing IS NULL THEN
                RETURN NULL;
            END IF;
            IF TG_ARGV[2] = 'of template' THEN
                SELECT service_id INTO service FROM templates WHERE id = (either_row ->> 'template_id')::uuid;
            ELSIF TG_ARGV[2] = 'of key' THEN
                SELECT service_id INTO service FROM api_keys WHERE id = (either_row ->> 'api_key_id')::uuid;
            ELSE
                service := either_row ->> TG_ARGV[2];
            END IF;
            INSERT INTO change_log (
                id, occurred_at, operation, table_name, row_id, service_id, organisation_id, before, after,
                actor_user_id, actor_api_key_id, request_id
            )
            SELECT
                gen_random_uuid(), clock_timestamp() AT TIME ZONE 'UTC',
                CASE TG_ARGV[0] WHEN 'part' THEN 'update' ELSE lower(TG_OP) END,
                TG_TABLE_NAME, thing, service, (either_row ->> TG_ARGV[3])::uuid,
                CASE WHEN TG_OP <> 'INSERT' THEN jsonb_object_agg(name, CASE WHEN told THEN old_row -> name END) END,
                CASE WHEN TG_OP <> 'DELETE' THEN jsonb_object_agg(name, CASE WHEN told THEN new_row -> name END) END,
                nullif(current_setting('notify_graphql.user_id', true), '')::uuid,
                nullif(current_setting('notify_graphql.api_key_id', true), '')::uuid,
                nullif(current_setting('notify_graphql.request_id', true), '')
            FROM (
                SELECT unnest(string_to_array(TG_ARGV[4], ' ')), true
                UNION ALL
                SELECT unnest(string_to_array(TG_ARGV[5], ' ')), false
            ) AS logged (name, told)
            WHERE old_row -> name IS DISTINCT FROM new_row -> name
            HAVING count(*) > 0;
            RETURN NULL;
        END
        $$
        """
    yield "REVOKE EXECUTE ON FUNCTION log_change() FROM PUBLIC"  # or any role could log rows of its own tables
    for table, arguments in LOGGED.items():
        trigger_arguments = ", ".join(f"'{argument}'" for argument in arguments)
        yield f"""
            CREATE OR REPLACE TRIGGER log_change AFTER {EVENTS.get(table, "INSERT OR UPDATE OR DELETE")} ON {table}
            FOR EACH ROW EXECUTE FUNCTION log_change({trigger_arguments})
            """


def upgrade() -> None:
    for statement in statements():
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION IF EXISTS log_change() CASCADE")
