"""The decorators of mutations and of their payloads, with the error types of this API."""

from typing import TypeVar, dataclass_transform

from graphql_api.limits import points
from schema.core import make_mutation, payload_type
from schema.errors import UserError, user_errors

P = TypeVar("P")


@dataclass_transform(kw_only_default=True)
def payload(cls: type[P]) -> type[P]:
    """The result of a mutation: fields with defaults, and `userErrors`, empty on success."""
    return payload_type(cls, UserError)


mutation = make_mutation(user_errors)
"""A field of Mutation; domain errors are returned in its payload."""
sending_mutation = make_mutation(user_errors, weight=points.SEND_MUTATION_WEIGHT_OBJECTS)
"""The same for a field that sends a message, or many."""
