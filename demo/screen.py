"""The demo's output: phases with their durations, progress while they run, and tables. Readable in a pipe too."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_WIDEST = 80
_PLAIN_SECONDS = 5.0
"""Interval of progress lines without a terminal."""
_GAP = 2
_LEAST = 24
"""Minimum width of the shortened column."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of progress.

    :param share: of the work that is done, 0 to 1; None: unknown
    """

    name: str
    state: str
    share: float | None
    numbers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a phase: one line, and optionally bars that replace it on a terminal."""

    text: str = ""
    bars: Sequence[Bar] = ()


@dataclass(slots=True)
class Phase:
    """A running phase; `result` replaces its title when it has ended."""

    result: str = ""


class Screen:
    """Writes to standard output. On a terminal progress is redrawn in place; in a pipe a line is added every 5 s."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Keys may have characters that the encoding lacks; a pipe gets each line immediately.
            sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
        self._console = Console(highlight=False)
        self._is_live = self._console.is_terminal and not self._console.is_dumb_terminal
        self._width = min(self._console.width, _WIDEST)
        self.seconds: list[tuple[str, float]] = []

    @contextmanager
    def phase(self, title: str, name: str, progress: Callable[[], Progress] | None = None) -> Iterator[Phase]:
        """Show `title` and progress while the body runs, then its result; remember its seconds under `name`."""
        started = time.monotonic()
        phase = Phase()
        follow = self._live if self._is_live else self._plain
        ok = False
        try:
            with follow(title, started, progress or Progress):
                yield phase
            ok = True
        finally:
            seconds = time.monotonic() - started
            if ok:
                self.seconds.append((name, seconds))
                self._line(Text("✓", "bold green") if self._is_live else Text(), phase.result or title, seconds)
            else:
                self._line(Text("✗", "bold red"), title, seconds)

    def say(self, text: str = "", style: str = "") -> None:
        """Write untrusted text, such as keys."""
        self._print(Text(text, style))

    def note(self, text: str) -> None:
        """Write a message while a phase runs."""
        self._print(Text(f"  {text}", "yellow"))

    def heading(self, text: str) -> None:
        """Write a heading, after an empty line."""
        self.say()
        self.say(text, "bold")

    def raw(self, text: str) -> None:
        """Write a line without wrapping, to be copied."""
        print(text)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, wide: int = 0, right: Sequence[int] = ()
    ) -> None:
        """Write a table that is no wider than the screen.

        :param wide: the column whose names are shortened in the middle if the line is too short; what is still too long
            then continues on the next line of the last column
        :param right: the columns that are flush right
        """
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_header=any(columns))
        for number, column in enumerate(columns):
            folds = number == len(columns) - 1 != wide and number not in right
            table.add_column(column, justify="right" if number in right else "left", no_wrap=not folds, overflow="fold")
        cells = [list(row) for row in rows]
        room = self._room([*cells, list(columns)], wide)
        for row in cells:
            row[wide] = middle(row[wide], room)
            table.add_row(*map(Text, row))
        self._print(table)

    def _room(self, rows: Sequence[Sequence[str]], wide: int) -> int:
        """Return the characters that the other columns leave to one."""
        widths = [max(cell_len(row[number]) for row in rows) for number in range(len(rows[0]))]
        others = sum(width + _GAP for number, width in enumerate(widths) if number != wide)
        return max(_LEAST, self._width - others - _GAP)

    def _print(self, what: RenderableType) -> None:
        if self._is_live:
            self._console.print(what, width=self._width)
            return
        with self._console.capture() as captured:
            self._console.print(what, width=self._width)
        print("\n".join(line.rstrip() for line in captured.get().split("\n")), end="")

    def _line(self, mark: Text, text: str, seconds: float) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0), expand=True, pad_edge=False)
        if mark:
            grid.add_column(no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_row(*([mark] if mark else []), Text(text), Text(f"{seconds:.1f} s", "dim"))
        self._print(grid)

    @contextmanager
    def _live(self, title: str, started: float, progress: Callable[[], Progress]) -> Iterator[None]:
        spinner = Spinner("dots")

        def draw() -> RenderableType:
            now = progress()
            head = Table.grid(padding=(0, 1, 0, 0), expand=True)
            head.add_column(width=1)
            head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            head.add_column(justify="right", no_wrap=True)
            text = Text(title).append("" if now.bars or not now.text else f": {now.text}", "dim")
            head.add_row(spinner, text, Text(f"{time.monotonic() - started:.0f} s", "dim"))
            drawn = Group(head, _drawn(now.bars)) if now.bars else Group(head)
            box = Table.grid()
            box.add_column(width=self._width)
            box.add_row(drawn)
            return box

        with Live(get_renderable=draw, console=self._console, refresh_per_second=5, transient=True):
            yield

    @contextmanager
    def _plain(self, title: str, started: float, progress: Callable[[], Progress]) -> Iterator[None]:
        self.say(f"{title} …")
        ended = threading.Event()

        def report() -> None:
            last = ""
            while not ended.wait(_PLAIN_SECONDS):
                text = progress().text
                if text != last:
                    self.say(f"  {time.monotonic() - started:3.0f} s  {text}")
                last = text

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()


def middle(text: str, most: int) -> str:
    """Return the text, without its middle if it is wider than `most` columns: the two ends distinguish names."""
    if cell_len(text) <= most:
        return text
    kept = most - 1
    while kept > 2:
        shortened = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
        if cell_len(shortened) <= most:  # emoji and East Asian characters take two columns
            return shortened
        kept -= 1
    return "…"


def size_text(size: int) -> str:
    """Return a size in bytes with a unit."""
    if size < 1024:
        return f"{size} B"
    value, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"


def _drawn(bars: Sequence[Bar]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=0)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=9)
    grid.add_column(ratio=1)
    for _ in max((bar.numbers for bar in bars), key=len):
        grid.add_column(justify="right", no_wrap=True)
    for bar in bars:
        shape = ProgressBar(total=1.0, completed=bar.share) if bar.share is not None else Text()
        grid.add_row("", Text(bar.name), Text(bar.state), shape, *(Text(number) for number in bar.numbers))
    return grid
