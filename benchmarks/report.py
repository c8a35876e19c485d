"""The results as Markdown: a table for each case, the targets, and on what it was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks.cases import GIB, GRID_BLOCKS, GRID_CONNECTIONS, LARGE, MIB, SMALL
from benchmarks.clients import CLIENTS
from benchmarks.results import Results, Spread
from benchmarks.targets import Target
from benchmarks.task import TASKS

_COLUMNS = (
    "client",
    "CPU s",
    "CPU {unit}",
    "× CPU",
    "time s",
    "× time",
    "{speed}",
    "memory + MiB",
    "disk MiB",
    "requests S3 + Azure",
    "read/delivered",
    "servers' CPU s",
)
_BRIEF = (0, 1, 3, 4, 5, 6, 7, 8, 9)
"""Those that the documentation shows."""
_SECTION = re.compile(r"<!-- measured: ([a-z-]+) -->\n(.*?)<!-- end -->", re.DOTALL)

COMPARED = ("tls-large", "tls-small", "tls-four", "large", "four", "several", "small", "link-large", "link-small")


def markdown(results: Results, targets: list[Target]) -> str:
    """Return the whole report."""
    return "\n".join(_lines(results, targets)) + "\n"


def _lines(results: Results, targets: list[Target]) -> Iterator[str]:
    yield f"# Measured {results.started}{' (quick)' if results.is_quick else ''}"
    yield ""
    yield _machine(results)
    for text in results.broken:
        yield f"\n**Broken:** {text.splitlines()[0]}"
    yield "\nMedians over the rounds, with the lowest and highest; × is against ours in the same run.\n"
    for case_id in COMPARED:
        if case_id in results.runs:
            yield f"## {results.cases[case_id].title}\n"
            yield from _compared(results, case_id, range(len(_COLUMNS)))
    titles = {
        "scale": "Scale: ours alone",
        "grid": "Block size and threads: ours, 1 GiB object, loopback (CPU s · MiB/s · memory + MiB)",
        "link-grid": "Threads: ours, 256 MiB object in blocks of 8 MiB, shaped link",
        "tasks": "The whole task process, import to exit, for one object of 1 MiB",
        "links": "The shaped link, by its own measure",
        "targets": "Targets",
    }
    found = sections(results, targets)
    for name, title in titles.items():
        if name in found:
            yield f"## {title}\n"
            yield found[name]


def sections(results: Results, targets: list[Target]) -> dict[str, str]:
    """Return the parts of the report that the documentation shows, by name; none for what was not measured."""
    parts: dict[str, Iterable[str]] = {
        case_id: _compared(results, case_id, _BRIEF) for case_id in COMPARED if case_id in results.runs
    }
    parts |= {
        "summary": _summary(results),
        "machine": [f"{_machine(results)} {results.started[:10]}.", ""],
        "scale": _scales(results),
        "grid": _grid(results),
        "link-grid": _link_grid(results),
        "tasks": _tasks(results),
        "links": [*(f"* {text}" for text in results.links), ""] if results.links else [],
        "targets": _table(
            ("what", "target", "measured", ""),
            [(one.what, one.limit, one.measured, "met" if one.is_met else "**missed**") for one in targets],
        ),
    }
    made = {name: "\n".join(lines) for name, lines in parts.items()}
    return {name: text for name, text in made.items() if text}


def fill(document: str, parts: Mapping[str, str]) -> str:
    """Return a document with its sections ``<!-- measured: name -->`` to ``<!-- end -->`` replaced.

    What was not measured stays as it is.
    """

    def replace(found: re.Match[str]) -> str:
        name, old = found[1], found[2]
        return f"<!-- measured: {name} -->\n{parts.get(name, old).strip()}\n<!-- end -->"

    return _SECTION.sub(replace, document)


def _machine(results: Results) -> str:
    load = ", ".join(f"{load:.1f}" for load in results.load)
    facts = [f"{name} {value}" for name, value in results.machine.items()]
    return f"{'; '.join(facts)}. Load average before the first round and after each: {load}."


def _compared(results: Results, case_id: str, columns: Sequence[int]) -> Iterator[str]:
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
    unit, speed = ("ms/object", "objects/s") if is_small else ("s/GiB", "MiB/s")
    head = [column.format(unit=unit, speed=speed) for column in _COLUMNS]
    yield from _table(tuple(head[one] for one in columns), [tuple(row[one] for one in columns) for row in rows])


def _summary(results: Results) -> Iterator[str]:
    """Yield the main table, of the clients that copied both a large object and many small ones."""
    if not {LARGE, SMALL} <= results.runs.keys():
        return
    large, small = results.cases[LARGE], results.cases[SMALL]
    rows = []
    for client in results.runs[LARGE]:
        if not results.has(SMALL, client):
            continue
        written = results.spread(LARGE, client, lambda run: run.cost.written).high
        figures = (
            f"{results.cpu(LARGE, client):.2f}",
            f"{large.total / MIB / results.seconds(LARGE, client):,.0f}",
            f"{results.memory(LARGE, client) / MIB:,.0f}",
            f"{written / MIB:,.0f}",
            f"{results.cpu(SMALL, client):.2f}",
            f"{small.objects / results.seconds(SMALL, client):,.0f}",
        )
        rows.append((f"**{CLIENTS[client]}**" if client == "ours" else CLIENTS[client], *figures))
    head = (f"{large.title}: CPU s", "MiB/s", "memory + MiB", "disk MiB", f"{small.title}: CPU s", "objects/s")
    yield from _table(("client", *head), rows)


def _scales(results: Results) -> Iterator[str]:
    cases = [case for case in results.cases.values() if case.id.startswith(("objects-", "size-"))]
    if not cases:
        return
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
    if f"grid-{GRID_BLOCKS[-1]}-{GRID_CONNECTIONS[-1]}" not in results.runs:
        return
    rows = []
    for block in GRID_BLOCKS:
        cells = []
        for connections in GRID_CONNECTIONS:
            case = f"grid-{block}-{connections}"
            speed = 1024 / results.seconds(case, "ours")
            memory = results.memory(case, "ours") / MIB
            cells.append(f"{results.cpu(case, 'ours'):.2f} · {speed:,.0f} · {memory:,.0f}")
        rows.append((f"{block} MiB", *cells))
    yield from _table(("blocks", *(f"{connections} threads" for connections in GRID_CONNECTIONS)), rows)


def _link_grid(results: Results) -> Iterator[str]:
    cases = [case for case in results.cases.values() if case.id.startswith("link-grid-")]
    if not cases:
        return
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
