"""The schema as graphql-core sees it, for tests that generate documents from it."""

from schema import schema

SCHEMA = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
