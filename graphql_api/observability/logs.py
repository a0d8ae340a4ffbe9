"""Structured logs: one JSON object a line, with events and places, and without personal data or values."""

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
"""Innermost frames that are logged of an exception."""
QUIET_LOGGERS = ("uvicorn.access", "strawberry", "pgqueuer", "asyncio", "httpx2", "alembic")
"""Libraries whose INFO lines hold addresses or documents, or repeat ours; their warnings are logged."""


def strip_exception_message(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Replace an exception by its types and frames: its message may hold personal data."""
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
    """The types of an exception and of its causes."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < MAX_TRACEBACK_FRAMES:
        names.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__ or cause.__context__
    return names


def _traceback_frames(trace: TracebackType | None) -> list[str]:
    return [
        f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(trace)[-MAX_TRACEBACK_FRAMES:]
    ]


def configure(*, readable: bool = False, level: str = "INFO") -> None:
    """Send all logs, of libraries too, to standard error: as JSON, or as `readable` lines."""
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        strip_exception_message,
    ]
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer = console if readable else structlog.processors.JSONRenderer()
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
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                    "foreign_pre_chain": shared,
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": "WARNING"} for name in QUIET_LOGGERS},
        }
    )
