"""The version and state of the running server."""

from datetime import datetime

import strawberry

from graphql_api.errors import Unavailable
from loaders import server as loaders
from schema.core import Info, value_object


@value_object
class ServerStatus:
    """State and version of the running server."""

    ok: bool
    """Whether the database can be queried."""
    git_commit: str | None
    """Git commit of the build."""
    built_at: datetime | None
    """Time of the build."""
    database_revision: str | None
    """Latest migration applied to the database; null when it cannot be queried."""

    @strawberry.field(description="Number of live services, without those that do not count as live.")
    async def live_service_count(self, info: Info) -> int:
        """Counted only when selected."""
        count: int = await info.context.loaders.batch(loaders.live_service_count, None)
        return count

    @strawberry.field(description="Number of active organisations.")
    async def organisation_count(self, info: Info) -> int:
        """Counted only when selected."""
        count: int = await info.context.loaders.batch(loaders.organisation_count, None)
        return count


@strawberry.type
class ServerQueries:
    """The field of Query about the server."""

    @strawberry.field(description="Version and state of the running server; needs no sign-in.")
    async def server_status(self, info: Info) -> ServerStatus | None:
        """The build, and the revision of the database."""
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
