"""The cache of actors: entries expire after a second."""

from __future__ import annotations

import time

import pytest

from graphql_api.auth import actor_cache
from graphql_api.auth.actor_cache import ActorCache
from graphql_api.auth.actors import Actor

KEY = "name-11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222"


def test_an_actor_is_cached_for_a_second() -> None:
    cache, actor, now = ActorCache(), Actor.system(), time.monotonic()

    cache.put(KEY, None, actor, now)
    cached = cache.get(KEY, None)
    cache.put(KEY, None, actor, now - actor_cache.ACTOR_TTL_SECONDS)

    assert cached is actor
    assert cache.get(KEY, None) is None


def test_the_key_includes_the_acting_user() -> None:
    cache = ActorCache()

    cache.put(KEY, "a user", Actor.system(), time.monotonic())

    assert cache.get(KEY, None) is None
    assert cache.get(KEY, "another user") is None


def test_clearing_removes_all_actors() -> None:
    cache = ActorCache()
    cache.put(KEY, None, Actor.system(), time.monotonic())

    cache.clear()

    assert cache.get(KEY, None) is None


def test_the_number_of_cached_actors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_cache, "MAX_CACHED_ACTORS", 2)
    cache, actor = ActorCache(), Actor.system()

    for name in ("first", "second", "third"):
        cache.put(name, None, actor, time.monotonic())

    assert [cache.get(name, None) for name in ("first", "second", "third")] == [None, actor, actor]
