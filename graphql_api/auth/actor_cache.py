"""The actors of recent tokens, for at most a second each: a revocation takes effect within that time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from cachetools import FIFOCache

from graphql_api.auth import jwts, tokens
from graphql_api.errors import Unauthenticated

if TYPE_CHECKING:
    from graphql_api.auth.actors import Actor

ACTOR_TTL_SECONDS = 1.0
MAX_CACHED_ACTORS = 1_000


class _Entry(NamedTuple):
    actor: Actor
    looked_up_at: float


class ActorCache:
    """Actors by what the client sent (token and acting user), or by identity for connections that stay open.

    Entries expire a second after their look-up began, `looked_up_at` by `time.monotonic`.
    """

    def __init__(self) -> None:
        # All live equally long, so the first in expires first. A TTLCache takes three times as long for each request.
        self._entries: FIFOCache[tuple[object, object], _Entry] = FIFOCache(MAX_CACHED_ACTORS)

    def get(self, token: str, acting_user: str | None) -> Actor | None:
        """The actor of a token and the header of the acting user."""
        return self._get((token, acting_user))

    def get_renewed(self, actor: Actor) -> Actor | None:
        """The actor of the same identity, as last looked up."""
        return self._get(actor.identity)

    def put(self, token: str, acting_user: str | None, actor: Actor, looked_up_at: float) -> None:
        """Cache an actor, unless the token is valid for one request only."""
        if not _is_single_use(token):
            self._entries[token, acting_user] = _Entry(actor, looked_up_at)

    def put_renewed(self, actor: Actor, looked_up_at: float) -> None:
        """Cache an actor by identity."""
        self._entries[actor.identity] = _Entry(actor, looked_up_at)

    def clear(self) -> None:
        """Remove all entries, after a change that may affect an actor."""
        self._entries.clear()

    def _get(self, key: tuple[object, object]) -> Actor | None:
        entry = self._entries.get(key)
        if entry is None or time.monotonic() - entry.looked_up_at >= ACTOR_TTL_SECONDS:
            return None
        return entry.actor


def _is_single_use(token: str) -> bool:
    """Whether a token has an id of its own (`jti`)."""
    if token.startswith(tokens.SESSION_TOKEN_PREFIX) or "." not in token:
        return False
    try:
        return jwts.parse(token).id is not None
    except Unauthenticated:
        return False
