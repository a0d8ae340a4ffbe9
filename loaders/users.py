"""Reads of users."""

from graphql_api.models import Service, ServiceMembership, User
from loaders.core import AnyOf, Contains, Equals, Within, ordered_by, page, row, table_page

by_id = row(User.id)
by_email_address = row(User.email_address)
by_name = ordered_by(User.name, User.id)

users = table_page(
    User,
    by_name,
    orders={
        "name": by_name,
        "email_address": ordered_by(User.email_address, User.id),
        "created_at": ordered_by(User.created_at, User.id),
    },
    filters={
        "email_address_contains": Contains(User.email_address),
        "name_contains": Contains(User.name),
        "states": AnyOf(User.state),
        "platform_admin": Equals(User.platform_admin),
        "take_part_in_research": Equals(User.take_part_in_research),
        "created_at": Within(User.created_at),
        "last_logged_in_at": Within(User.logged_in_at),
    },
)
service_memberships = page(
    User.service_memberships,
    ordered_by(ServiceMembership.service_id),
    where=ServiceMembership.service.has(Service.active),
)
