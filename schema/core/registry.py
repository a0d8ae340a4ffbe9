"""The registry of entities: the base class, and the entity of each model."""

from typing import Any, ClassVar

import strawberry

from graphql_api.context import Context
from loaders.core import Row


class Entity:
    """What every entity has: its model and its declarations; each object holds its row."""

    model: ClassVar[type[Any]]
    by_id: ClassVar[Row]
    service_column: ClassVar[str | None]
    fields: ClassVar[dict[str, Any]]
    row: strawberry.Private[Any]

    @classmethod
    def of(cls, row: Any) -> Any:
        """The object of a row."""
        entity = object.__new__(cls)
        entity.row = row
        return entity

    @classmethod
    async def read(cls, context: Context, *key: Any) -> Any:
        """The object with this key, as the caller sees it now; None where the caller sees no such row."""
        row = await context.loaders.row(cls.by_id, *key)
        return None if row is None else cls.of(row)


_ENTITIES: dict[type[Any], type[Entity]] = {}


def register(model: type[Any], entity: type[Entity]) -> None:
    """Make this the entity of a model."""
    _ENTITIES[model] = entity


def registered_entities() -> dict[type[Any], type[Entity]]:
    """Every entity, by its model."""
    return _ENTITIES


def entity_of(model: type[Any]) -> type[Entity]:
    """The entity of a model."""
    return _ENTITIES[model]


def entity_from_row(row: Any, model: type[Any]) -> Any:
    """The object of a row of a model; None for no row."""
    return None if row is None else _ENTITIES[model].of(row)
