"""Whoever asks often is looked up once a second, and no later than that heard to be gone."""

from __future__ import annotations

import time

import pytest

from graphql_api.auth import actor_cache
from graphql_api.auth.actor_cache import ActorCache
from graphql_api.auth.actors import Actor

KEY = "name-11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222"


def test_an_actor_is_cached_for_a_second() -> None:
    known, actor, now = ActorCache(), Actor.system(), time.monotonic()

    known.put(KEY, None, actor, now)
    at_once = known.get(KEY, None)
    known.put(KEY, None, actor, now - actor_cache.ACTOR_TTL_SECONDS)

    assert at_once is actor
    assert known.get(KEY, None) is None


def test_the_key_includes_the_acting_user() -> None:
    known = ActorCache()

    known.put(KEY, "somebody", Actor.system(), time.monotonic())

    assert known.get(KEY, None) is None
    assert known.get(KEY, "somebody else") is None


def test_clearing_removes_all_actors() -> None:
    known = ActorCache()
    known.put(KEY, None, Actor.system(), time.monotonic())

    known.clear()

    assert known.get(KEY, None) is None


def test_the_number_of_cached_actors_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actor_cache, "MAX_CACHED_ACTORS", 2)
    known, actor = ActorCache(), Actor.system()

    for name in ("first", "second", "third"):
        known.put(name, None, actor, time.monotonic())

    assert [known.get(name, None) for name in ("first", "second", "third")] == [None, actor, actor]
