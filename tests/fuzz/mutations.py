"""Malformed requests: changed bytes, JSON of any shape, wrong headers, frames out of order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.fuzz.documents import HOSTILE_VALUES, DocumentGenerator

if TYPE_CHECKING:
    from random import Random

SPLICED_BYTES = [
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"[" * 2_000,
    b'"',
    b"\\ud800",
    b"{",
    b"}",
    b"1e999",
    b"9" * 5_000,
]
SPLICED_BYTES += [
    b"null",
    b"NaN",
    b"\xef\xbb\xbf",
    b"\r\n\r\n",
    b"\\u0000",
    b",",
    b":",
    b"...",
    b"@skip(if: true)",
    b"#",
    b'"""',
]
HOSTILE_HEADERS = [
    ("Content-Type", ["text/plain", "application/json; charset=latin-1", "", "multipart/form-data", "a" * 900]),
    ("Accept", ["*/*", "text/html", "text/event-stream", "application/graphql-response+json", ";;;,,,", "a/b;q=9" * 9]),
    ("Authorization", ["Bearer", "Bearer x.y.z", "Basic Zm9v", "Bearer " + "e30." * 400, "bearer \xff", "Bearer é"]),
    ("Content-Encoding", ["gzip", "identity", "br"]),
    ("X-Notify-User-Id", ["x", "00000000-0000-0000-0000-000000000000", "\xa0"]),
    ("Origin", ["null", "https://elsewhere.example", "\xff"]),
    ("Expect", ["100-continue", "nothing"]),
    ("Upgrade", ["h2c", "websocket"]),
    ("Cookie", ["a=b; " * 200]),
    ("X-Request-Id", ["\t", "%0d%0a", "x" * 4_000]),
    ("Host", ["", "a b", "[::1", "x" * 300]),
]  # fmt: skip
HOSTILE_FRAMING_HEADERS = [
    ("Content-Length", ["-1", "0", "9" * 30, "1, 2", "0x10", "1e3"]),
    ("Transfer-Encoding", ["chunked", "gzip", "x"]),
]
METHODS = ["POST"] * 20 + ["GET", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "post"]
PATHS = ["/graphql"] * 30 + [
    "/graphql/",
    "/uploads",
    "/_status",
    "/metrics",
    "/",
    "/graphql?query=%00",
    "/%2e%2e/etc",
    "//",
]


class MalformedRequests:
    """Random requests and frames, reproducible by the seed."""

    def __init__(self, random: Random, documents: DocumentGenerator, bearer_tokens: list[str]) -> None:
        self._random = random
        self._documents = documents
        self._bearers = bearer_tokens

    def request(self) -> tuple[bytes, bool]:
        """The bytes of a request, and whether its framing is correct."""
        random = self._random
        body = self.body()
        method, path = random.choice(METHODS), random.choice(PATHS)
        headers = [("Host", "notify"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        bearer = random.choice(self._bearers)
        if bearer:
            headers.append(("Authorization", f"Bearer {bearer}"))
        if method == "GET":
            headers.append(("GraphQL-Require-Preflight", "1"))
        well_framed = True
        if random.random() < 0.2:
            name, values = random.choice(HOSTILE_HEADERS)
            headers = [header for header in headers if header[0] != name or random.random() < 0.3]
            headers.append((name, random.choice(values)))
            well_framed = name not in ("Upgrade", "Expect", "Host")
        elif random.random() < 0.05:
            name, values = random.choice(HOSTILE_FRAMING_HEADERS)
            headers.append((name, random.choice(values)))
            well_framed = False
        if method in ("HEAD", "TRACE", "post"):
            well_framed = False
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        head = "\r\n".join(lines).encode("latin-1", "replace")
        if random.random() < 0.02:
            head, well_framed = self.corrupt(head), False
        return head + body, well_framed

    def body(self) -> bytes:
        """A body, mostly an operation or nearly one."""
        random = self._random
        kind = random.random()
        if kind < 0.45:
            return json.dumps(self._documents.operation()).encode()
        if kind < 0.8:
            return self.corrupt(json.dumps(self._documents.operation()).encode())
        return json.dumps(self.value(4)).encode()

    def corrupt(self, data: bytes) -> bytes:
        """The data with a few bytes changed, inserted, removed or duplicated."""
        random, changed = self._random, bytearray(data)
        for _ in range(random.randint(1, 4)):
            place, how = random.randrange(len(changed) + 1), random.randrange(5)
            if how == 0 and place < len(changed):
                changed[place] = random.randrange(256)
            elif how == 1:
                changed[place:place] = random.choice(SPLICED_BYTES)
            elif how == 2:
                del changed[place : place + random.randint(1, 20)]
            elif how == 3:
                changed[place:place] = changed[place : place + random.randint(1, 200)]
            else:
                del changed[place:]
        return bytes(changed)

    def value(self, depth: int) -> Any:
        """Any JSON, sometimes with the names of a request."""
        random = self._random
        if not depth or random.random() < 0.3:
            return random.choice(HOSTILE_VALUES)
        if random.random() < 0.3:
            return [self.value(depth - 1) for _ in range(random.randrange(5))]
        names = ["query", "variables", "operationName", "extensions", "id", "\0", "__proto__", "", "a" * 1_000]
        return {random.choice(names): self.value(depth - 1) for _ in range(random.randrange(5))}

    def frames(self) -> list[str | bytes]:
        """Messages to send over a WebSocket, in their order."""
        random = self._random
        frames: list[str | bytes] = []
        if random.random() < 0.8:
            frames.append(json.dumps({"type": "connection_init", "payload": self._connection_payload()}))
        for _ in range(random.randint(1, 8)):
            kind = random.choice(
                ["subscribe", "subscribe", "subscribe", "complete", "ping", "pong", "connection_init", "x"]
            )
            message: dict[str, Any] = {"type": kind, "id": str(random.randrange(4))}
            if kind == "subscribe":
                message["payload"] = self._documents.operation()
            text = json.dumps(message)
            how = random.random()
            if how < 0.1:
                text = json.dumps(self.value(3))
            elif how < 0.2:
                text = self.corrupt(text.encode()).decode("utf-8", "replace")
            elif how < 0.25:
                message[random.choice(["id", "payload", "type"])] = random.choice(HOSTILE_VALUES)
                text = json.dumps(message)
            frames.append(text.encode() if how > 0.98 else text)
        return frames

    def _connection_payload(self) -> Any:
        if self._random.random() < 0.2:
            return self._random.choice(HOSTILE_VALUES)
        bearer = self._random.choice(self._bearers)
        return {"authorization": f"Bearer {bearer}"} if bearer else {}
