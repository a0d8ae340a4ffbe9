"""Whoever asked a moment ago: a client that asks often is looked up once a second, and revocation seen by then."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from graphql_api.auth import jwts, tokens
from graphql_api.errors import Unauthenticated

if TYPE_CHECKING:
    from graphql_api.auth.actors import Actor

SECONDS = 1.0
MOST = 1_000


class Callers:
    """The latest callers of a process by what they sent, each for a second at most."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: OrderedDict[tuple[object, object], tuple[float, Actor]] = OrderedDict()

    def find(self, token: str, acting_user: str | None) -> Actor | None:
        """Whoever was found by this token less than a second ago."""
        return self._find((token, acting_user))

    def find_again(self, actor: Actor) -> Actor | None:
        """The same caller, as they were found less than a second ago."""
        return self._find(actor.identity)

    def keep(self, token: str, acting_user: str | None, actor: Actor, since: float) -> None:
        """Remember whoever was looked up at `since`, unless the token is good for one request only."""
        if not _for_once(token):
            self._keep((token, acting_user), actor, since)

    def keep_again(self, actor: Actor, since: float) -> None:
        """Remember a caller who was looked up again at `since`."""
        self._keep(actor.identity, actor, since)

    def forget(self) -> None:
        """Look everyone up anew: something has changed, and it may be they."""
        self._known.clear()

    def _find(self, key: tuple[object, object]) -> Actor | None:
        known = self._known.get(key)
        return known[1] if known is not None and time.monotonic() - known[0] < SECONDS else None

    def _keep(self, key: tuple[object, object], actor: Actor, since: float) -> None:
        self._known[key] = since, actor
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)


def _for_once(token: str) -> bool:
    """Whether a token has an id of its own, and so may not be used again."""
    if token.startswith(tokens.SESSION) or "." not in token:
        return False
    try:
        return jwts.read(token).id is not None
    except Unauthenticated:
        return False
