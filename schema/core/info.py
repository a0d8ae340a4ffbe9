"""The type of a resolver's `info` argument, with the context of `graphql_api.context`."""

from __future__ import annotations

from typing import TypeAlias

import strawberry

from graphql_api.context import Context

Info: TypeAlias = strawberry.Info[Context, None]
