"""The explorer's page and its files, for a developer's own machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from graphql_api.settings import Settings

FILES = Path(__file__).parents[1] / "static" / "graphiql"
EMPTY = '<script type="application/json" id="settings">{}</script>'
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NEVER_CHANGES = "public, max-age=31536000, immutable"


async def page(request: Request) -> Response:
    """The page, with what it needs to begin signed in where the request is from this machine."""
    settings: Settings = request.app.state.server.settings
    # A name that points here from elsewhere would let its owner's pages read the token.
    trusted = request.url.hostname in LOOPBACK
    told = json.dumps(_beginnings(settings) if trusted else {"graphqlUrl": "/graphql"})
    filled = EMPTY.replace("{}", told.replace("<", "\\u003c"))
    headers = {"content-security-policy": POLICY, "cache-control": "no-store"}
    return HTMLResponse((FILES / "index.html").read_text().replace(EMPTY, filled), headers=headers)


def assets() -> StaticFiles:
    """The page's files, whose names change with what is in them."""
    return _Assets(directory=FILES / "assets")


class _Assets(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = POLICY
        if response.status_code < 400 and path != "notices.txt":  # noqa: PLR2004 - errors begin there
            response.headers["cache-control"] = NEVER_CHANGES
        return response


def _beginnings(settings: Settings) -> dict[str, Any]:
    """What the page is told, from `dev.json` where there is one."""
    told: dict[str, Any] = {"graphqlUrl": "/graphql"}
    try:
        dev = json.loads((settings.data_dir / "dev.json").read_text())
        told |= {
            "token": dev["tokens"]["service_manager"],
            "serviceId": dev["service_id"],
            "templateId": dev["template_ids"]["sms"],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return told
    return told
