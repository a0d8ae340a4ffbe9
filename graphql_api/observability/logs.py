"""Logs: a JSON line each, which says what happened and where, and never to whom or with which values."""

from __future__ import annotations

import logging
import logging.config
import sys
import traceback
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from structlog.typing import EventDict, WrappedLogger

MAX_TRACEBACK_FRAMES = 12
"""How many of the innermost frames of a fault are kept."""
QUIET_LOGGERS = ("uvicorn.access", "strawberry", "pgqueuer", "asyncio", "httpx2", "alembic")
"""Libraries whose everyday lines tell addresses, documents, or nothing new; their warnings are kept."""


def strip_exception_message(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace an exception by its type, those behind it, and the lines of code: what it says may hold people's data."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["fault"] = _exception_chain(error)
        event["frames"] = _traceback_frames(error.__traceback__)
    return event


def _exception_chain(error: BaseException) -> list[str]:
    found: list[str] = []
    behind: BaseException | None = error
    while behind is not None and len(found) < MAX_TRACEBACK_FRAMES:
        found.append(f"{type(behind).__module__}.{type(behind).__qualname__}")
        behind = behind.__cause__ or behind.__context__
    return found


def _traceback_frames(trace: TracebackType | None) -> list[str]:
    return [
        f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)[-MAX_TRACEBACK_FRAMES:]
    ]


def configure(*, readable: bool = False, level: str = "INFO") -> None:
    """Send every log, ours and the libraries', to standard error: JSON, or lines for a person to read."""
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        strip_exception_message,
    ]
    lines = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    last = lines if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "ours": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": "WARNING"} for name in QUIET_LOGGERS},
        }
    )
