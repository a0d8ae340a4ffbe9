"""Ours without its planner, and everything else as it is: what graphql-core takes."""

from __future__ import annotations

import sys
from typing import Any

from graphql_api import app
from graphql_api.commands import cli
from graphql_api.http import endpoint, executor


def _endpoint_without_planner(server: executor.Executor, *_: Any) -> endpoint.Endpoint:
    """The endpoint as it is where nobody plans."""
    return endpoint.Endpoint(server)


if __name__ == "__main__":
    vars(app)["Endpoint"] = _endpoint_without_planner
    sys.exit(cli.main(["serve"]))
