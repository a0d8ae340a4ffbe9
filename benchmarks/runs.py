"""One run: responses are compared, statements counted, and all servers measured in turn, round by round."""

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
"""Requests before the first measured one: after five, PostgreSQL may use a generic plan."""
STATEMENT_COUNT_REQUESTS = 5
"""Requests of which the statements are counted."""
SOAK_CONNECTIONS, SOAK_BATCH_REQUESTS, UNLIMITED_SECONDS = 16, 50_000, 1e9
MAX_WAIT_SECONDS = 8.0
"""Seconds that a request may have to wait for its turn; above that, the scenario is not measured."""


class ResponseMismatch(Exception):
    """The responses of two servers to a scenario differ; the message says where."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Duration of the measurement."""

    seconds_per_turn: float
    """Seconds of each turn."""
    rounds: int


@dataclass
class Run:
    """Servers, scenarios, and their measurements."""

    servers: Sequence[RunningServer]
    scenarios: Sequence[Scenario]
    postmaster: int
    timing: Timing
    measurements: dict[tuple[str, int], dict[str, Measurement]] = field(default_factory=dict)
    """Measurements by scenario and concurrency, then by server."""
    field_counts: dict[str, int] = field(default_factory=dict)
    """Number of fields in the response, by scenario."""
    resident_megabytes: dict[str, float] = field(default_factory=dict)
    """Resident memory of each server at the end, in megabytes."""
    request_counts: dict[str, int] = field(default_factory=dict)
    """Number of responses of each server."""
    _response_bytes: dict[tuple[str, str], int] = field(default_factory=dict)
    _response_seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    _statements: dict[tuple[str, str], float] = field(default_factory=dict)

    def compare(self) -> None:
        """Send every scenario to every server, and warm it up; raises `ResponseMismatch` where responses differ."""
        for scenario in self.scenarios:
            contents: dict[str, object] = {}
            for server in self.servers:
                make_request = scenario.request(server.kind.language, server.kind.path, server.headers)
                if make_request is None:
                    continue
                key = (scenario.name, server.kind.name)
                for _ in range(WARMUP_REQUESTS):
                    started = time.perf_counter()
                    status, body = fetch(server.port, make_request())
                    self._response_seconds[key] = time.perf_counter() - started
                if status != 200:  # noqa: PLR2004 - the status OK
                    raise ResponseMismatch(f"{server.kind.name}: status {status} for {scenario.name}: {body[:500]!r}")
                self._response_bytes[key] = len(body)
                try:
                    contents[server.kind.name] = responses.normalized_response(
                        scenario.name, server.kind.language, body
                    )
                except ValueError as error:
                    raise ResponseMismatch(f"{server.kind.name}: errors for {scenario.name}: {error}") from error
            (first, expected), *others = contents.items()
            self.field_counts[scenario.name] = responses.count_fields(expected)
            for name, content in others:
                difference = responses.first_difference(expected, content)
                if difference:
                    raise ResponseMismatch(f"{first} and {name} differ in {scenario.name}: {difference}.")

    def count_statements(self, url: str) -> None:
        """Count the statements of a request, including those of authentication."""
        counter = measurements.StatementCounter(url)
        asyncio.run(counter.start())
        time.sleep(0.2)
        try:
            for scenario in self.scenarios:
                for server in self.servers:
                    make_request = scenario.request(server.kind.language, server.kind.path, server.headers)
                    if make_request is not None:
                        asyncio.run(counter.take_count())
                        for _ in range(STATEMENT_COUNT_REQUESTS):
                            fetch(server.port, make_request())
                        key = (scenario.name, server.kind.name)
                        self._statements[key] = asyncio.run(counter.take_count()) / STATEMENT_COUNT_REQUESTS
        finally:
            asyncio.run(counter.stop())

    def measure(self) -> None:
        """Measure every scenario at each of its concurrencies."""
        for scenario in self.scenarios:
            for concurrency in scenario.concurrencies:
                started = time.perf_counter()
                self.measurements[scenario.name, concurrency] = self._measure(scenario, concurrency)
                seconds = time.perf_counter() - started
                print(f"  {scenario.title} at {concurrency}: {seconds:.0f} s", flush=True)
        for server in self.servers:
            self.resident_megabytes[server.kind.name] = measurements.resident_megabytes(server.pid)

    def soak(self, requests: int) -> None:
        """Send more requests of the first scenario to each server, in batches, and measure its memory again."""
        scenario = self.scenarios[0]
        for server in self.servers:
            make_request = scenario.request(server.kind.language, server.kind.path, server.headers)
            if make_request is None:
                continue
            name = server.kind.name
            with Client(server.port, SOAK_CONNECTIONS) as client:
                for first in range(0, requests, SOAK_BATCH_REQUESTS):
                    turn = client.run(
                        make_request, seconds=UNLIMITED_SECONDS, max_requests=min(SOAK_BATCH_REQUESTS, requests - first)
                    )
                    self.request_counts[name] = self.request_counts.get(name, 0) + len(turn.latencies)
            self.resident_megabytes[name] = measurements.resident_megabytes(server.pid)
            print(
                f"  {name} after {self.request_counts[name]:,} requests: {self.resident_megabytes[name]:.0f} MB",
                flush=True,
            )

    def _measure(self, scenario: Scenario, concurrency: int) -> dict[str, Measurement]:
        cells: dict[str, Measurement] = {}
        with contextlib.ExitStack() as stack:
            turns = []
            for server in self.servers:
                make_request = scenario.request(server.kind.language, server.kind.path, server.headers)
                if make_request is None:
                    continue
                name = server.kind.name
                cell = cells[name] = measurements.Measurement(statements=self._statements.get((scenario.name, name)))
                wait = self._response_seconds[scenario.name, name] * concurrency
                if wait > MAX_WAIT_SECONDS:
                    cell.note = f"not run: each would wait {wait:.0f} s"
                    continue
                client = stack.enter_context(Client(server.port, concurrency))
                rounds = max(
                    1, min(self.timing.rounds, round(self.timing.rounds * 2 * self.timing.seconds_per_turn / wait))
                )
                turns.append((server, make_request, client, cell, rounds))
                if wait < self.timing.seconds_per_turn:
                    client.run(make_request, seconds=0.2)
            for number in range(self.timing.rounds):
                for server, make_request, client, cell, rounds in (
                    turns[number % len(turns) :] + turns[: number % len(turns)]
                ):
                    if number < rounds:
                        self._run_turn(scenario, server, make_request, client, cell)
        return cells

    def _run_turn(
        self, scenario: Scenario, server: RunningServer, make_request: object, client: Client, cell: Measurement
    ) -> None:
        server_cpu_before = measurements.cpu_seconds(server.pid)
        database_cpu_before = measurements.children_cpu_seconds(self.postmaster)
        length = self._response_bytes[scenario.name, server.kind.name]
        turn = client.run(make_request, seconds=self.timing.seconds_per_turn, expected_bytes=length)  # type: ignore[arg-type]
        cell.server_cpu_seconds += measurements.cpu_seconds(server.pid) - server_cpu_before
        cell.database_cpu_seconds += measurements.children_cpu_seconds(self.postmaster) - database_cpu_before
        cell.rates.append(turn.rate)
        cell.latencies += turn.latencies
        cell.failures += turn.failures
        self.request_counts[server.kind.name] = self.request_counts.get(server.kind.name, 0) + len(turn.latencies)


def select_scenarios(servers: Sequence[RunningServer], parameters: Parameters, only: Sequence[str]) -> list[Scenario]:
    """The scenarios with these names, or the first word of them; all without names."""
    cursors: dict[int, str] = {}
    for server in servers:
        if server.kind.language == POSTGRAPHILE:
            for offset in parameters.cursor_positions:
                variables = {"id": parameters.service_id, "offset": offset - 1}
                body = json.dumps({"query": POSTGRAPHILE_CURSOR_QUERY, "variables": variables}).encode()
                response = json.loads(fetch(server.port, post(server.kind.path, body))[1])
                (edge,) = response["data"]["serviceByRowId"]["notificationsByServiceId"]["edges"]
                cursors[offset] = edge["cursor"]
    return [
        scenario
        for scenario in all_scenarios(parameters, cursors)
        if not only or scenario.name in only or scenario.name.partition("-")[0] in only
    ]
