"""One run: all answers compared, statements counted, and then every server in turn, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import measurements, responses
from benchmarks.clients import Client, fetch, post
from benchmarks.scenarios import POSTGRAPHILE, POSTGRAPHILE_CURSOR_QUERY, Scenario, all_scenarios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.databases import Parameters
    from benchmarks.measurements import Measurement
    from benchmarks.servers import RunningServer

WARMUP_REQUESTS = 12
"""Questions before the first is timed: from the sixth on PostgreSQL may plan a statement once for all."""
STATEMENT_COUNT_REQUESTS = 5
"""Requests over which statements are counted."""
SOAK_CONNECTIONS, SOAK_BATCH_REQUESTS, UNLIMITED_SECONDS = 16, 50_000, 1e9
MAX_WAIT_SECONDS = 8.0
"""Seconds that a request may be expected to wait for its turn; where it were more, nothing is measured."""


class ResponseMismatch(Exception):
    """Two servers answer a question differently; the message tells where."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long is measured."""

    seconds_per_turn: float
    """Of each turn."""
    rounds: int


@dataclass
class Run:
    """Servers, questions, and what was found out."""

    servers: Sequence[RunningServer]
    scenarios: Sequence[Scenario]
    postmaster: int
    timing: Timing
    measurements: dict[tuple[str, int], dict[str, Measurement]] = field(default_factory=dict)
    """By question and concurrency, then by server."""
    field_counts: dict[str, int] = field(default_factory=dict)
    """How many fields the answer to a question has."""
    resident_megabytes: dict[str, float] = field(default_factory=dict)
    """Megabytes of each server in the end."""
    request_counts: dict[str, int] = field(default_factory=dict)
    """How many requests each server has answered."""
    _response_bytes: dict[tuple[str, str], int] = field(default_factory=dict)
    _response_seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    _statements: dict[tuple[str, str], float] = field(default_factory=dict)

    def compare(self) -> None:
        """Ask everything of everyone, warm; raises `Unequal` unless all say the same."""
        for question in self.scenarios:
            said: dict[str, object] = {}
            for server in self.servers:
                ask = question.request(server.kind.language, server.kind.path, server.headers)
                if ask is None:
                    continue
                key = (question.name, server.kind.name)
                for _ in range(WARMUP_REQUESTS):
                    began = time.perf_counter()
                    status, body = fetch(server.port, ask())
                    self._response_seconds[key] = time.perf_counter() - began
                if status != 200:  # noqa: PLR2004 - its name is a number
                    raise ResponseMismatch(f"{server.kind.name} answers {question.name} with {status}: {body[:500]!r}")
                self._response_bytes[key] = len(body)
                try:
                    said[server.kind.name] = responses.normalized_response(question.name, server.kind.language, body)
                except ValueError as error:
                    raise ResponseMismatch(f"{server.kind.name} refuses {question.name}: {error}") from error
            (first, standard), *others = said.items()
            self.field_counts[question.name] = responses.count_fields(standard)
            for name, answer in others:
                different = responses.first_difference(standard, answer)
                if different:
                    raise ResponseMismatch(f"{first} and {name} answer {question.name} differently: {different}.")

    def count_statements(self, url: str) -> None:
        """Count the statements of a request, who asks included."""
        counter = measurements.StatementCounter(url)
        asyncio.run(counter.start())
        time.sleep(0.2)
        try:
            for question in self.scenarios:
                for server in self.servers:
                    ask = question.request(server.kind.language, server.kind.path, server.headers)
                    if ask is not None:
                        asyncio.run(counter.take_count())
                        for _ in range(STATEMENT_COUNT_REQUESTS):
                            fetch(server.port, ask())
                        key = (question.name, server.kind.name)
                        self._statements[key] = asyncio.run(counter.take_count()) / STATEMENT_COUNT_REQUESTS
        finally:
            asyncio.run(counter.stop())

    def measure(self) -> None:
        """Take the time of every question at each of its concurrencies."""
        for question in self.scenarios:
            for concurrency in question.concurrencies:
                began = time.perf_counter()
                self.measurements[question.name, concurrency] = self._measure(question, concurrency)
                told = f"{question.title} at {concurrency}: {time.perf_counter() - began:.0f} s"
                print(f"  {told}", flush=True)
        for server in self.servers:
            self.resident_megabytes[server.kind.name] = measurements.resident_megabytes(server.pid)

    def soak(self, requests: int) -> None:
        """Ask the first question many times more of each server, in batches, and read its memory again."""
        question = self.scenarios[0]
        for server in self.servers:
            ask = question.request(server.kind.language, server.kind.path, server.headers)
            if ask is None:
                continue
            name = server.kind.name
            with Client(server.port, SOAK_CONNECTIONS) as client:
                for first in range(0, requests, SOAK_BATCH_REQUESTS):
                    done = client.run(
                        ask, seconds=UNLIMITED_SECONDS, max_requests=min(SOAK_BATCH_REQUESTS, requests - first)
                    )
                    self.request_counts[name] = self.request_counts.get(name, 0) + len(done.latencies)
            self.resident_megabytes[name] = measurements.resident_megabytes(server.pid)
            print(
                f"  {name} after {self.request_counts[name]:,} requests: {self.resident_megabytes[name]:.0f} MB",
                flush=True,
            )

    def _measure(self, question: Scenario, concurrency: int) -> dict[str, Measurement]:
        cells: dict[str, Measurement] = {}
        with contextlib.ExitStack() as stack:
            turns = []
            for server in self.servers:
                ask = question.request(server.kind.language, server.kind.path, server.headers)
                if ask is None:
                    continue
                name = server.kind.name
                cell = cells[name] = measurements.Measurement(statements=self._statements.get((question.name, name)))
                wait = self._response_seconds[question.name, name] * concurrency
                if wait > MAX_WAIT_SECONDS:
                    cell.note = f"not run: each would wait {wait:.0f} s"
                    continue
                client = stack.enter_context(Client(server.port, concurrency))
                rounds = max(
                    1, min(self.timing.rounds, round(self.timing.rounds * 2 * self.timing.seconds_per_turn / wait))
                )
                turns.append((server, ask, client, cell, rounds))
                if wait < self.timing.seconds_per_turn:
                    client.run(ask, seconds=0.2)
            for number in range(self.timing.rounds):
                for server, ask, client, cell, rounds in turns[number % len(turns) :] + turns[: number % len(turns)]:
                    if number < rounds:
                        self._run_turn(question, server, ask, client, cell)
        return cells

    def _run_turn(
        self, question: Scenario, server: RunningServer, ask: object, client: Client, cell: Measurement
    ) -> None:
        used = measurements.cpu_seconds(server.pid)
        used_by_database = measurements.children_cpu_seconds(self.postmaster)
        length = self._response_bytes[question.name, server.kind.name]
        done = client.run(ask, seconds=self.timing.seconds_per_turn, expected_bytes=length)  # type: ignore[arg-type]
        cell.server_cpu_seconds += measurements.cpu_seconds(server.pid) - used
        cell.database_cpu_seconds += measurements.children_cpu_seconds(self.postmaster) - used_by_database
        cell.rates.append(done.rate)
        cell.latencies += done.latencies
        cell.failures += done.failures
        self.request_counts[server.kind.name] = self.request_counts.get(server.kind.name, 0) + len(done.latencies)


def select_scenarios(servers: Sequence[RunningServer], facts: Parameters, only: Sequence[str]) -> list[Scenario]:
    """The questions that were asked for; every one where none was."""
    cursors: dict[int, str] = {}
    for server in servers:
        if server.kind.language == POSTGRAPHILE:
            for place in facts.cursor_positions:
                variables = {"id": facts.service_id, "offset": place - 1}
                body = json.dumps({"query": POSTGRAPHILE_CURSOR_QUERY, "variables": variables}).encode()
                answer = json.loads(fetch(server.port, post(server.kind.path, body))[1])
                (edge,) = answer["data"]["serviceByRowId"]["notificationsByServiceId"]["edges"]
                cursors[place] = edge["cursor"]
    found = all_scenarios(facts, cursors)
    return [one for one in found if not only or one.name in only or one.name.partition("-")[0] in only]
