"""The explorer (GraphiQL), served in development only."""

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
    """The page; for a request by a loopback name, with a token, so that it starts signed in."""
    settings: Settings = request.app.state.executor.settings
    # Under another name that resolves to this machine (DNS rebinding), a foreign page could read the token.
    is_loopback = request.url.hostname in LOOPBACK_HOSTS
    content = json.dumps(_initial_settings(settings) if is_loopback else {"graphqlUrl": "/graphql"})
    settings_tag = EMPTY_SETTINGS_TAG.replace("{}", content.replace("<", "\\u003c"))
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "cache-control": "no-store"}
    return HTMLResponse(
        (GRAPHIQL_DIR / "index.html").read_text().replace(EMPTY_SETTINGS_TAG, settings_tag), headers=headers
    )


def assets() -> StaticFiles:
    """The page's files, whose names change with their content."""
    return _AssetFiles(directory=GRAPHIQL_DIR / "assets")


class _AssetFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["content-security-policy"] = CONTENT_SECURITY_POLICY
        if response.status_code < 400 and path != "notices.txt":  # noqa: PLR2004 - errors begin there
            response.headers["cache-control"] = IMMUTABLE_CACHE_CONTROL
        return response


def _initial_settings(settings: Settings) -> dict[str, Any]:
    """The page's initial settings, from `dev.json` where it exists."""
    initial: dict[str, Any] = {"graphqlUrl": "/graphql"}
    try:
        dev = json.loads((settings.data_dir / "dev.json").read_text())
        initial |= {
            "token": dev["tokens"]["service_manager"],
            "serviceId": dev["service_id"],
            "templateId": dev["template_ids"]["sms"],
        }
    except (OSError, ValueError, KeyError, TypeError):
        return initial
    return initial
