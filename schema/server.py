"""The server itself: what runs, and whether it can do its work."""

from datetime import datetime

import strawberry

from graphql_api.errors import Unavailable
from loaders import server as loaders
from schema.core import Info, value_object


@value_object
class ServerStatus:
    """State and version of the running server."""

    ok: bool
    """Whether the server can do its work."""
    git_commit: str | None
    """Commit it was built from."""
    built_at: datetime | None
    """When it was built."""
    database_revision: str | None
    """Latest migration applied."""

    @strawberry.field(description="Live services that count as live.")
    async def live_service_count(self, info: Info) -> int:
        """Counted when it is asked for."""
        count: int = await info.context.loaders.batch(loaders.live_service_count, None)
        return count

    @strawberry.field(description="Active organisations.")
    async def organisation_count(self, info: Info) -> int:
        """Counted when it is asked for."""
        count: int = await info.context.loaders.batch(loaders.organisation_count, None)
        return count


@strawberry.type
class ServerQueries:
    """The part of Query that tells of the server."""

    @strawberry.field(description="Version of the running server; needs no sign-in.")
    async def server_status(self, info: Info) -> ServerStatus | None:
        """The build, and what the database answers."""
        settings = info.context.settings
        try:
            revision = await info.context.loaders.batch(loaders.revision, None)
        except Unavailable:
            revision = None
        return ServerStatus(
            ok=revision is not None,
            git_commit=settings.git_commit,
            built_at=settings.built_at,
            database_revision=revision,
        )
