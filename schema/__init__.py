"""The GraphQL schema: every noun's part of Query and Mutation, put together."""

import strawberry
from strawberry.schema.config import StrawberryConfig

from graphql_api.limits import Limits
from graphql_api.masking import Schema
from schema import enums as _registered_words  # noqa: F401 - importing them registers them
from schema import errors
from schema.core import SCALARS, NodeQueries


@strawberry.type(description="Reading. Root fields are nullable, so that an error in one leaves the others' data.")
class Query(NodeQueries):
    """Every noun's reads."""


schema = Schema(
    query=Query,
    types=[kind for kind, _ in errors.TYPES.values()],
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[Limits],
)

__all__ = ["schema"]
