"""The `info` argument of a resolver, with our context in it."""

from __future__ import annotations

from typing import TypeAlias

import strawberry

from graphql_api.context import Context

Info: TypeAlias = strawberry.Info[Context, None]
