"""Mutations: one transaction, one call of the domain, one payload; whatever the domain refuses becomes `userErrors`."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, dataclass_transform

import strawberry

from graphql_api.errors import DomainError
from graphql_api.limits import points
from graphql_api.observability import operation_stats
from schema.core import descriptions
from schema.core.info import Info
from schema.core.types import apply_descriptions

if TYPE_CHECKING:
    from schema.errors import UserError
else:
    UserError = Annotated["UserError", strawberry.lazy("schema.errors")]

P = TypeVar("P")


@dataclass_transform(kw_only_default=True)
def payload(cls: type[P]) -> type[P]:
    """The answer of a mutation: fields with defaults, and `userErrors`, empty on success."""
    cls.__annotations__ = {**cls.__annotations__, "user_errors": list[UserError]}
    cls.user_errors = strawberry.field(  # type: ignore[attr-defined]
        default_factory=list, description="What the caller can put right; empty on success."
    )
    for name in cls.__annotations__:
        if name not in cls.__dict__:
            setattr(cls, name, None)
    apply_descriptions(cls)
    return strawberry.type(cls, description=descriptions.of_class(cls))


def mutation(resolve: Callable[..., Awaitable[P]], *, weight: int = points.MUTATION_WEIGHT_OBJECTS) -> Any:
    """A field of Mutation, described by its docstring; a refusal of the domain is answered in the payload."""
    answer = inspect.get_annotations(resolve, eval_str=True)["return"]

    @functools.wraps(resolve)
    async def guarded(self: Any, info: Info, **arguments: Any) -> Any:
        try:
            return await resolve(self, info, **arguments)
        except DomainError as refusal:
            from schema.errors import user_errors  # noqa: PLC0415 - they are made of core's types

            operation_stats.add(error_codes=frozenset({refusal.code}))
            info.context.reset_loaders()
            return answer(user_errors=user_errors(refusal, info.context))

    guarded.__annotations__ = {**resolve.__annotations__, "return": answer | None}
    guarded.__signature__ = inspect.signature(resolve).replace(return_annotation=answer | None)  # type: ignore[attr-defined]
    description = descriptions.of_function(resolve)
    return strawberry.field(resolver=guarded, description=description, metadata=points.weight(weight))


sending_mutation = functools.partial(mutation, weight=points.SEND_MUTATION_WEIGHT_OBJECTS)
"""The same for a field that sends a message, or many."""
