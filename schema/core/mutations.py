"""Mutations: one transaction, one call of the domain, one payload; domain errors become `userErrors`."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import strawberry

from graphql_api.context import Context
from graphql_api.errors import DomainError
from graphql_api.limits import points
from graphql_api.observability import operation_stats
from schema.core import descriptions
from schema.core.arguments import INPUT_DESCRIPTION
from schema.core.info import Info
from schema.core.types import apply_descriptions

P = TypeVar("P")
ErrorTranslator = Callable[[DomainError, Context], list[Any]]
"""Makes the entries of `userErrors` from a domain error."""


def payload_type(cls: type[P], error_type: type[Any]) -> type[P]:
    """Make the payload type of a mutation: fields with defaults, and `userErrors` of this type, empty on success."""
    cls.__annotations__ = {**cls.__annotations__, "user_errors": list[error_type]}  # type: ignore[valid-type]
    cls.user_errors = strawberry.field(  # type: ignore[attr-defined]
        default_factory=list, description="What the caller can put right; empty on success."
    )
    for name in cls.__annotations__:
        if name not in cls.__dict__:
            setattr(cls, name, None)
    apply_descriptions(cls)
    return strawberry.type(cls, description=descriptions.of_class(cls))


def make_mutation(
    translate: ErrorTranslator, *, weight: int = points.MUTATION_WEIGHT_OBJECTS
) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """Make the decorator of mutations: a field of Mutation, described by its docstring.

    A domain error that the resolver raises is returned in the payload, as `translate` makes it. `weight` is what one
    call costs, in objects.
    """

    def mutation(resolve: Callable[..., Awaitable[Any]]) -> Any:
        payload = inspect.get_annotations(resolve, eval_str=True)["return"]

        @functools.wraps(resolve)
        async def resolve_or_translate(self: Any, info: Info, **arguments: Any) -> Any:
            try:
                return await resolve(self, info, **arguments)
            except DomainError as error:
                operation_stats.add(error_codes=frozenset({error.code}))
                info.context.reset_loaders()
                return payload(user_errors=translate(error, info.context))

        annotations = {**resolve.__annotations__, "return": payload | None}
        if "input" in annotations:
            annotations["input"] = Annotated[annotations["input"], strawberry.argument(description=INPUT_DESCRIPTION)]
        signature = inspect.signature(resolve)
        parameters = [
            parameter.replace(annotation=annotations.get(name, parameter.annotation))
            for name, parameter in signature.parameters.items()
        ]
        signature = signature.replace(parameters=parameters, return_annotation=payload | None)
        resolve_or_translate.__annotations__ = annotations
        resolve_or_translate.__signature__ = signature  # type: ignore[attr-defined]
        description = descriptions.of_function(resolve)
        return strawberry.field(resolver=resolve_or_translate, description=description, metadata=points.weight(weight))

    return mutation
