"""Whoever asked a moment ago: a client that asks often is looked up once a second, and revocation seen by then."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from graphql_api.auth import jwts, tokens
from graphql_api.errors import Unauthenticated

if TYPE_CHECKING:
    from graphql_api.auth.actors import Actor

ACTOR_TTL_SECONDS = 1.0
MAX_CACHED_ACTORS = 1_000


class ActorCache:
    """The latest callers of a process by what they sent, each for a second at most."""

    def __init__(self) -> None:
        """Begin with none."""
        self._entries: OrderedDict[tuple[object, object], tuple[float, Actor]] = OrderedDict()

    def get(self, token: str, acting_user: str | None) -> Actor | None:
        """Whoever was found by this token less than a second ago."""
        return self._get((token, acting_user))

    def get_renewed(self, actor: Actor) -> Actor | None:
        """The same caller, as they were found less than a second ago."""
        return self._get(actor.identity)

    def put(self, token: str, acting_user: str | None, actor: Actor, looked_up_at: float) -> None:
        """Remember whoever was looked up at `since`, unless the token is good for one request only."""
        if not _is_single_use(token):
            self._put((token, acting_user), actor, looked_up_at)

    def put_renewed(self, actor: Actor, looked_up_at: float) -> None:
        """Remember a caller who was looked up again at `since`."""
        self._put(actor.identity, actor, looked_up_at)

    def clear(self) -> None:
        """Look everyone up anew: something has changed, and it may be they."""
        self._entries.clear()

    def _get(self, key: tuple[object, object]) -> Actor | None:
        known = self._entries.get(key)
        return known[1] if known is not None and time.monotonic() - known[0] < ACTOR_TTL_SECONDS else None

    def _put(self, key: tuple[object, object], actor: Actor, looked_up_at: float) -> None:
        self._entries[key] = looked_up_at, actor
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_CACHED_ACTORS:
            self._entries.popitem(last=False)


def _is_single_use(token: str) -> bool:
    """Whether a token has an id of its own, and so may not be used again."""
    if token.startswith(tokens.SESSION_TOKEN_PREFIX) or "." not in token:
        return False
    try:
        return jwts.parse(token).id is not None
    except Unauthenticated:
        return False
