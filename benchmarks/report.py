"""The results as Markdown: a table for each case, the targets, and on what it was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.cases import GIB, GRID_BLOCKS, GRID_CONNECTIONS, MIB
from benchmarks.clients import CLIENTS
from benchmarks.results import Results, Spread
from benchmarks.targets import Target
from benchmarks.task import TASKS

COMPARED = ("large", "several", "small", "link-large", "link-small")


def markdown(results: Results, targets: list[Target]) -> str:
    """Return the whole report."""
    return "\n".join(_lines(results, targets)) + "\n"


def _lines(results: Results, targets: list[Target]) -> Iterator[str]:
    yield f"# Measured {results.started}{' (quick)' if results.is_quick else ''}"
    yield ""
    yield "; ".join(f"{name} {value}" for name, value in results.machine.items()) + "."
    for text in results.broken:
        yield f"\n**Broken:** {text.splitlines()[0]}"
    yield "\nMedians over the rounds, with the lowest and highest; × is against ours in the same run.\n"
    for case_id in COMPARED:
        if case_id in results.runs:
            yield f"## {results.cases[case_id].title}\n"
            yield from _compared(results, case_id)
    yield from _scales(results)
    yield from _grid(results)
    yield from _tasks(results)
    if results.links:
        yield "## The shaped link, by its own measure\n"
        yield from (f"* {text}" for text in results.links)
        yield ""
    yield "## Targets\n"
    yield from target_table(targets)


def target_table(targets: list[Target]) -> Iterator[str]:
    """Yield the lines of the table of targets."""
    yield from _table(
        ("what", "target", "measured", ""),
        [(one.what, one.limit, one.measured, "met" if one.is_met else "**missed**") for one in targets],
    )


def _compared(results: Results, case_id: str) -> Iterator[str]:
    case = results.cases[case_id]
    is_small = case.objects >= 50
    ours_cpu = results.cpu(case_id, "ours") if results.has(case_id, "ours") else None
    ours_seconds = results.seconds(case_id, "ours") if results.has(case_id, "ours") else None
    rows = []
    for client in results.runs[case_id]:
        cpu = results.spread(case_id, client, lambda run: run.cost.cpu)
        seconds = results.spread(case_id, client, lambda run: run.cost.seconds)
        per_unit = case.objects / 1000 if is_small else case.total / GIB
        speed = f"{case.objects / seconds.median:,.0f}" if is_small else f"{case.total / MIB / seconds.median:,.0f}"
        written = results.spread(case_id, client, lambda run: run.cost.written).high
        last = results.runs[case_id][client][-1]
        rows.append(
            (
                f"**{CLIENTS[client]}**" if client == "ours" else CLIENTS[client],
                _spread(cpu),
                f"{cpu.median / per_unit:.2f}",
                _times(cpu.median, ours_cpu),
                _spread(seconds),
                _times(seconds.median, ours_seconds),
                speed,
                f"{results.memory(case_id, client) / MIB:,.0f}",
                f"{written / MIB:,.0f}",
                f"{sum(last.reads.values()):,} + {sum(last.writes.values()):,}",
                f"{last.bytes_read / case.total:.2f}",
                f"{last.servers_cpu[0]:.2f} + {last.servers_cpu[1]:.2f}",
            )
        )
    unit, speed_unit = ("ms/object", "objects/s") if is_small else ("s/GiB", "MiB/s")
    yield from _table(
        (
            "client",
            "CPU s",
            f"CPU {unit}",
            "×",
            "time s",
            "×",
            speed_unit,
            "memory + MiB",
            "disk MiB",
            "requests S3 + Azure",
            "read/delivered",
            "servers' CPU s",
        ),
        rows,
    )


def _scales(results: Results) -> Iterator[str]:
    cases = [case for case in results.cases.values() if case.id.startswith(("objects-", "size-"))]
    if not cases:
        return
    yield "## Scale: ours alone\n"
    rows = []
    for case in cases:
        client = case.clients[0]
        cpu, seconds = results.cpu(case.id, client), results.seconds(case.id, client)
        is_small = case.objects > 1
        rows.append(
            (
                case.title,
                f"{cpu:,.2f}",
                f"{cpu / case.objects * 1000:.2f} ms/object" if is_small else f"{cpu / case.total * GIB:.2f} s/GiB",
                f"{seconds:,.1f}",
                f"{case.objects / seconds:,.0f} objects/s" if is_small else f"{case.total / MIB / seconds:,.0f} MiB/s",
                f"{results.memory(case.id, client) / MIB:,.0f}",
            )
        )
    yield from _table(("", "CPU s", "CPU each", "time s", "speed", "memory + MiB"), rows)


def _grid(results: Results) -> Iterator[str]:
    if f"grid-{GRID_BLOCKS[0]}-{GRID_CONNECTIONS[0]}" in results.runs:
        yield "## Block size and threads: ours, 1 GiB object, loopback (CPU s · MiB/s · memory + MiB)\n"
        rows = []
        for block in GRID_BLOCKS:
            cells = []
            for connections in GRID_CONNECTIONS:
                case = f"grid-{block}-{connections}"
                speed = 1024 / results.seconds(case, "ours")
                cells.append(
                    f"{results.cpu(case, 'ours'):.2f} · {speed:,.0f} · {results.memory(case, 'ours') / MIB:,.0f}"
                )
            rows.append((f"{block} MiB", *cells))
        yield from _table(("blocks", *(f"{connections} threads" for connections in GRID_CONNECTIONS)), rows)
    cases = [case for case in results.cases.values() if case.id.startswith("link-grid-")]
    if cases:
        yield "## Threads: ours, 256 MiB object in blocks of 8 MiB, shaped link\n"
        rows = [
            (
                f"{case.connections}",
                f"{case.total / 1e6 / results.seconds(case.id, 'ours'):,.0f}",
                f"{case.connections * 25}",
                f"{results.memory(case.id, 'ours') / MIB:,.0f}",
            )
            for case in cases
        ]
        yield from _table(("threads", "MB/s", "the link's MB/s", "memory + MiB"), rows)


def _tasks(results: Results) -> Iterator[str]:
    if not results.tasks:
        return
    yield "## The whole task process, import to exit, for one object of 1 MiB\n"
    empty = {
        what: Spread.of([getattr(cost, what) for cost in results.tasks["task-empty"]]).median
        for what in ("cpu", "seconds")
    }
    rows = []
    for name, costs in results.tasks.items():
        cpu, seconds = (Spread.of([getattr(cost, what) for cost in costs]) for what in ("cpu", "seconds"))
        rows.append(
            (
                TASKS[name],
                _spread(cpu),
                _times(cpu.median, empty["cpu"]),
                _spread(seconds),
                _times(seconds.median, empty["seconds"]),
            )
        )
    yield from _table(("task", "CPU s", "× empty", "time s", "× empty"), rows)


def _spread(spread: Spread) -> str:
    if spread.low == spread.high:
        return f"{spread.median:.2f}"
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"


def _times(value: float, against: float | None) -> str:
    return f"{value / against:.2f}" if against else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield a table's lines, its columns as wide as they need to be."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for number, row in enumerate(cells):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if not number:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    yield ""
