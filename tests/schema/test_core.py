"""Declarations become GraphQL types; wrong ones fail at import."""

import pytest
import strawberry

from graphql_api import models
from schema.core import Entity, entity, registered_entities
from schema.core.inputs import Input, input_type, one_of_input


def test_a_field_that_is_no_column_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"Wrong\.colour: Template has no readable column 'colour'"):

        @entity(models.Template)
        class Wrong(Entity):
            colour: str


def test_a_password_is_no_readable_column() -> None:
    with pytest.raises(TypeError, match="no readable column 'password'"):

        @entity(models.User)
        class Leak(Entity):
            password: str


def test_every_entity_has_declared_fields() -> None:
    import schema  # noqa: F401, PLC0415 - entities register when they are imported

    for kind in registered_entities().values():
        assert all(declared is not None for declared in kind.fields.values())


@input_type
class Address(Input):
    """A nested input."""

    town_id: strawberry.ID
    postcode: str | None = None


@one_of_input
class Choice(Input):
    """A oneOf input."""

    by_post: strawberry.Maybe[Address]
    by_name: strawberry.Maybe[str]


def test_fields_that_were_left_out_are_not_among_the_values() -> None:
    assert Address(town_id=strawberry.ID("11111111-1111-4111-8111-111111111111")).values().keys() == {"town_id"}


def test_null_is_among_the_values() -> None:
    address = Address(town_id=strawberry.ID("11111111-1111-4111-8111-111111111111"), postcode=None)

    assert address.values()["postcode"] is None


def test_a_oneof_input_has_only_the_field_that_was_given() -> None:
    assert Choice(by_name=strawberry.Some("x"), by_post=None).values() == {"by_name": "x"}
