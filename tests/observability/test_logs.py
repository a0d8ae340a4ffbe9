"""Logs: a line of JSON each, which says where a fault arose and nothing that it says."""

import json
import subprocess
import sys

from graphql_api.observability import logs
from tests.dev_server import ROOT

SECRET = "07700900123"
SCRIPT = f"""
import logging, structlog
from graphql_api.observability import error_masking, logs

logs.configure()
structlog.contextvars.bind_contextvars(request_id="0123")
try:
    try:
        raise KeyError("{SECRET}")
    except KeyError as error:
        raise ValueError("{SECRET}") from error
except ValueError as error:
    error_masking.log_internal_error(error, path=["a"], operation="Mine")
    logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
logging.getLogger("uvicorn.access").info("{SECRET}")
logging.getLogger("anything").warning("Said %s", "plainly", extra={{"color_message": "{SECRET}"}})
"""


def test_every_line_is_json_and_an_exception_has_its_type_and_frames() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    ours, theirs, plain = [json.loads(line) for line in done.stderr.splitlines()]

    assert SECRET not in done.stderr
    assert {name: ours[name] for name in ("event", "level", "request_id", "kind", "path", "operation", "fault")} == {
        "event": "fault",
        "level": "error",
        "request_id": "0123",
        "kind": "builtins.ValueError",
        "path": ["a"],
        "operation": "Mine",
        "fault": ["builtins.ValueError", "builtins.KeyError"],
    }
    assert ours["frames"] == ["<string>:11 <module>"]
    assert (theirs["event"], theirs["fault"]) == ("Exception in ASGI application", ours["fault"])
    assert (plain["event"], plain["logger"], plain["level"]) == ("Said plainly", "anything", "warning")
    assert plain.keys() == {"event", "logger", "level", "timestamp", "request_id"}


def test_a_long_chain_of_causes_is_cut() -> None:
    error: Exception = ValueError("0")
    for number in range(50):
        outer = ValueError(str(number))
        outer.__cause__ = error
        error = outer

    event = logs.strip_exception_message(None, "", {"exc_info": error})

    assert len(event["fault"]) == logs.MAX_TRACEBACK_FRAMES
