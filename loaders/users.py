"""Reads of people."""

from graphql_api.models import Service, ServiceMembership, User
from loaders.core import AnyOf, Contains, Equals, Within, by, page, pages, row

by_id = row(User.id)
by_email_address = row(User.email_address)
by_name = by(User.name, User.id)

users = pages(
    User,
    by_name,
    orders={
        "name": by_name,
        "email_address": by(User.email_address, User.id),
        "created_at": by(User.created_at, User.id),
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
    by(ServiceMembership.service_id),
    where=ServiceMembership.service.has(Service.active),
)
