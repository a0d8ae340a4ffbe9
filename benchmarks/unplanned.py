"""The server without its planner, otherwise the same: the time that graphql-core takes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from graphql_api.commands import serve
from graphql_api.settings import read_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def create_app() -> ASGIApp:
    """The application, without a planner."""
    return serve.create_app(planner=False)


if __name__ == "__main__":
    settings = read_settings(require_complete=True)
    with contextlib.closing(serve.listen(settings.host, settings.port)) as listener:
        serve.serve(listener, workers=1, app_factory="benchmarks.unplanned:create_app")
