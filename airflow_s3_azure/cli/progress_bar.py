"""Draws the progress of an operator in a terminal; elsewhere, writes a line every ten seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from airflow_s3_azure.engine.progress import duration_text, size_text
from airflow_s3_azure.live_progress import KEY

LINE_SECONDS = 10.0


class ProgressBar:
    """Takes the place of Airflow's task state store, to which operators write their progress.

    :param messages: the console; a bar is drawn if it is a terminal
    :param title: of work that does not count bytes, such as ``listing``; empty: it does
    :param seconds: between two lines, if it is not
    """

    def __init__(self, messages: Console, title: str = "", *, seconds: float = LINE_SECONDS) -> None:
        self._messages = messages
        self._seconds = seconds
        self._last = time.monotonic()
        columns: tuple[ProgressColumn, ...] = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        if not title:
            columns = (
                BarColumn(),
                TaskProgressColumn(),
                DownloadColumn(binary_units=True),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
            )
        self._bar = Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def get(self, key: str) -> None:
        """Return nothing: no earlier execution left anything."""

    def delete(self, key: str) -> None:
        """Do nothing: nothing is kept."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Show the progress."""
        if key != KEY:
            return
        self._bar.update(self._task, completed=value["bytes"], total=value["all_bytes"])
        if not self._messages.is_terminal and time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            self._messages.print(_line(value), markup=False, highlight=False, soft_wrap=True)


def _line(value: dict[str, Any]) -> str:
    rate, left = value["bytes_per_second"], value["seconds_left"]
    parts = [f"{size_text(value['bytes'])} of {'?' if value['all_bytes'] is None else size_text(value['all_bytes'])}"]
    parts += [f"{size_text(rate)}/s"] if rate is not None else []
    parts += [f"{duration_text(left)} left"] if left is not None else []
    return ", ".join(parts)
