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
from benchmarks.scenarios import PEER, PEER_PLACE, Question, questions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.databases import Facts
    from benchmarks.measurements import Cell
    from benchmarks.servers import Running

WARMING = 12
"""Questions before the first is timed: from the sixth on PostgreSQL may plan a statement once for all."""
COUNTED = 5
"""Requests over which statements are counted."""
SOAKING, BATCH, FOREVER = 16, 50_000, 1e9
LONGEST_WAIT = 8.0
"""Seconds that a request may be expected to wait for its turn; where it were more, nothing is measured."""


class Unequal(Exception):
    """Two servers answer a question differently; the message tells where."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is measured."""

    seconds: float
    """Of each turn."""
    rounds: int


@dataclass
class Run:
    """Servers, questions, and what was found out."""

    servers: Sequence[Running]
    questions: Sequence[Question]
    postmaster: int
    pace: Pace
    cells: dict[tuple[str, int], dict[str, Cell]] = field(default_factory=dict)
    """By question and concurrency, then by server."""
    fields: dict[str, int] = field(default_factory=dict)
    """How many fields the answer to a question has."""
    memory: dict[str, float] = field(default_factory=dict)
    """Megabytes of each server in the end."""
    requests: dict[str, int] = field(default_factory=dict)
    """How many requests each server has answered."""
    _lengths: dict[tuple[str, str], int] = field(default_factory=dict)
    _seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    _statements: dict[tuple[str, str], float] = field(default_factory=dict)

    def compare(self) -> None:
        """Ask everything of everyone, warm; raises `Unequal` unless all say the same."""
        for question in self.questions:
            said: dict[str, object] = {}
            for server in self.servers:
                ask = question.request(server.kind.language, server.kind.path, server.headers)
                if ask is None:
                    continue
                key = (question.name, server.kind.name)
                for _ in range(WARMING):
                    began = time.perf_counter()
                    status, body = fetch(server.port, ask())
                    self._seconds[key] = time.perf_counter() - began
                if status != 200:  # noqa: PLR2004 - its name is a number
                    raise Unequal(f"{server.kind.name} answers {question.name} with {status}: {body[:500]!r}")
                self._lengths[key] = len(body)
                try:
                    said[server.kind.name] = responses.rows(question.name, server.kind.language, body)
                except ValueError as error:
                    raise Unequal(f"{server.kind.name} refuses {question.name}: {error}") from error
            (first, standard), *others = said.items()
            self.fields[question.name] = responses.count_fields(standard)
            for name, answer in others:
                different = responses.first_difference(standard, answer)
                if different:
                    raise Unequal(f"{first} and {name} answer {question.name} differently: {different}.")

    def count_statements(self, url: str) -> None:
        """Count the statements of a request, who asks included."""
        counter = measurements.Statements(url)
        asyncio.run(counter.begin())
        time.sleep(0.2)
        try:
            for question in self.questions:
                for server in self.servers:
                    ask = question.request(server.kind.language, server.kind.path, server.headers)
                    if ask is not None:
                        asyncio.run(counter.taken())
                        for _ in range(COUNTED):
                            fetch(server.port, ask())
                        key = (question.name, server.kind.name)
                        self._statements[key] = asyncio.run(counter.taken()) / COUNTED
        finally:
            asyncio.run(counter.end())

    def measure(self) -> None:
        """Take the time of every question at each of its concurrencies."""
        for question in self.questions:
            for concurrency in question.concurrencies:
                began = time.perf_counter()
                self.cells[question.name, concurrency] = self._measured(question, concurrency)
                told = f"{question.title} at {concurrency}: {time.perf_counter() - began:.0f} s"
                print(f"  {told}", flush=True)
        for server in self.servers:
            self.memory[server.kind.name] = measurements.memory(server.pid)

    def soak(self, requests: int) -> None:
        """Ask the first question many times more of each server, in batches, and read its memory again."""
        question = self.questions[0]
        for server in self.servers:
            ask = question.request(server.kind.language, server.kind.path, server.headers)
            if ask is None:
                continue
            name = server.kind.name
            with Client(server.port, SOAKING) as client:
                for first in range(0, requests, BATCH):
                    done = client.ask(ask, seconds=FOREVER, most=min(BATCH, requests - first))
                    self.requests[name] = self.requests.get(name, 0) + len(done.latencies)
            self.memory[name] = measurements.memory(server.pid)
            print(f"  {name} after {self.requests[name]:,} requests: {self.memory[name]:.0f} MB", flush=True)

    def _measured(self, question: Question, concurrency: int) -> dict[str, Cell]:
        cells: dict[str, Cell] = {}
        with contextlib.ExitStack() as stack:
            turns = []
            for server in self.servers:
                ask = question.request(server.kind.language, server.kind.path, server.headers)
                if ask is None:
                    continue
                name = server.kind.name
                cell = cells[name] = measurements.Cell(statements=self._statements.get((question.name, name)))
                wait = self._seconds[question.name, name] * concurrency
                if wait > LONGEST_WAIT:
                    cell.note = f"not run: each would wait {wait:.0f} s"
                    continue
                client = stack.enter_context(Client(server.port, concurrency))
                rounds = max(1, min(self.pace.rounds, round(self.pace.rounds * 2 * self.pace.seconds / wait)))
                turns.append((server, ask, client, cell, rounds))
                if wait < self.pace.seconds:
                    client.ask(ask, seconds=0.2)
            for number in range(self.pace.rounds):
                for server, ask, client, cell, rounds in turns[number % len(turns) :] + turns[: number % len(turns)]:
                    if number < rounds:
                        self._turn(question, server, ask, client, cell)
        return cells

    def _turn(self, question: Question, server: Running, ask: object, client: Client, cell: Cell) -> None:
        used = measurements.processor_time(server.pid)
        used_by_database = measurements.processor_time_of_children(self.postmaster)
        length = self._lengths[question.name, server.kind.name]
        done = client.ask(ask, seconds=self.pace.seconds, length=length)  # type: ignore[arg-type]
        cell.server += measurements.processor_time(server.pid) - used
        cell.database += measurements.processor_time_of_children(self.postmaster) - used_by_database
        cell.rates.append(done.rate)
        cell.latencies += done.latencies
        cell.failures += done.failures
        self.requests[server.kind.name] = self.requests.get(server.kind.name, 0) + len(done.latencies)


def questions_for(servers: Sequence[Running], facts: Facts, only: Sequence[str]) -> list[Question]:
    """The questions that were asked for; every one where none was."""
    cursors: dict[int, str] = {}
    for server in servers:
        if server.kind.language == PEER:
            for place in facts.places:
                variables = {"id": facts.service_id, "offset": place - 1}
                body = json.dumps({"query": PEER_PLACE, "variables": variables}).encode()
                answer = json.loads(fetch(server.port, post(server.kind.path, body))[1])
                (edge,) = answer["data"]["serviceByRowId"]["notificationsByServiceId"]["edges"]
                cursors[place] = edge["cursor"]
    found = questions(facts, cursors)
    return [one for one in found if not only or one.name in only or one.name.partition("-")[0] in only]
