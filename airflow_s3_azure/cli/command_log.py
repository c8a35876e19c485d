"""Shows the log of a command on its console, so that standard output holds the result alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console


@contextmanager
def log_to(messages: Console, *, verbose: bool) -> Iterator[None]:
    """Show warnings of all packages, and with ``verbose`` the whole log of this one."""
    package = logging.getLogger("airflow_s3_azure")
    levels = {package: logging.INFO if verbose else logging.WARNING}
    # The SDKs and the hooks log each request and each connection at the level INFO.
    levels |= {logging.getLogger(name): logging.WARNING for name in (None, "airflow", "airflow.task")}
    before = {logger: logger.level for logger in levels}
    handler, processors = _ConsoleHandler(messages), structlog.get_config()["processors"]
    show = _ShowWarnings(messages)
    package.addHandler(handler)
    package.propagate = False
    processors.insert(len(processors) - 1, show)  # after those that mask secrets, before the one that writes
    try:
        for logger, level in levels.items():
            logger.setLevel(level)
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)
        processors.remove(show)
        package.propagate = True
        package.removeHandler(handler)


class _ConsoleHandler(logging.Handler):
    """Shows the records of the standard library's loggers."""

    def __init__(self, messages: Console) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line above the progress bar."""
        self._messages.print(f"{record.levelname.lower()}: {record.getMessage()}")


class _ShowWarnings:
    """The last processor of structlog's events, which Airflow's loggers would write to standard output."""

    def __init__(self, messages: Console) -> None:
        self._messages = messages

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> str:
        """Show an event, unless it is of a low level.

        :raises DropEvent: always: nothing else is written
        """
        if method not in ("debug", "info"):
            self._messages.print(f"{method}: {event.get('event')}")
        raise structlog.DropEvent
