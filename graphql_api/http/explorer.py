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

GRAPHIQL_DIR = Path(__file__).parents[1] / "static" / "graphiql"
EMPTY_SETTINGS_TAG = '<script type="application/json" id="settings">{}</script>'
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
IMMUTABLE_CACHE_CONTROL = "public, max-age=31536000, immutable"


async def index_page(request: Request) -> Response:
    """The page, with what it needs to begin signed in where the request is from this machine."""
    settings: Settings = request.app.state.executor.settings
    # A name that points here from elsewhere would let its owner's pages read the token.
    trusted = request.url.hostname in LOOPBACK_HOSTS
    told = json.dumps(_initial_settings(settings) if trusted else {"graphqlUrl": "/graphql"})
    filled = EMPTY_SETTINGS_TAG.replace("{}", told.replace("<", "\\u003c"))
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "cache-control": "no-store"}
    return HTMLResponse((GRAPHIQL_DIR / "index.html").read_text().replace(EMPTY_SETTINGS_TAG, filled), headers=headers)


def assets() -> StaticFiles:
    """The page's files, whose names change with what is in them."""
    return _AssetFiles(directory=GRAPHIQL_DIR / "assets")


class _AssetFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = CONTENT_SECURITY_POLICY
        if response.status_code < 400 and path != "notices.txt":  # noqa: PLR2004 - errors begin there
            response.headers["cache-control"] = IMMUTABLE_CACHE_CONTROL
        return response


def _initial_settings(settings: Settings) -> dict[str, Any]:
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
