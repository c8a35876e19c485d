"""The targets, each compared with what was measured in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cases import GIB, LARGE, MIB, SMALL, TO_SOURCE
from benchmarks.results import Results, Spread

FOUR_TLS = "tls-four"
FLAT = 1.15
"""What is called flat: the largest costs at most so many times what the smallest does, for each unit."""
FLAT_MEMORY = 8 * MIB
"""Bytes by which a peak may grow and still be called flat."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    :param what: is measured
    :param limit: what it should be, in words
    :param measured: in words
    """

    what: str
    limit: str
    measured: str
    is_met: bool


def judge(results: Results) -> list[Target]:
    """Return every target that this run measured something for."""
    return [
        *_tls(results),
        *(target for case, alone in ((FOUR_TLS, LARGE), ("four", "large")) for target in _four(results, case, alone)),
        *(target for case in ("large", "several") for target in _bulk(results, case)),
        *_small(results),
        *_linked(results),
        *_scale(results),
        *_task(results),
    ]


def _at_most(what: str, limit: float, measured: float, unit: str) -> Target:
    return Target(what, f"≤ {limit:g}{unit}", f"{measured:.2f}{unit}", measured <= limit)


def _at_least(what: str, limit: float, measured: float, unit: str) -> Target:
    return Target(what, f"≥ {limit:g}{unit}", f"{measured:.2f}{unit}", measured >= limit)


def _tls(results: Results) -> Iterator[Target]:
    for case, client, limit, name in (
        (LARGE, "floor", 1.10, "the floor"),
        (LARGE, "rclone-tuned", 0.55, "rclone, tuned"),
        (SMALL, "rclone-tuned", 1.0, "rclone, tuned"),
        (SMALL, "rclone", 1.0, "rclone, default"),
    ):
        if results.has(case, "ours") and results.has(case, client):
            factor = results.cpu(case, "ours") / results.cpu(case, client)
            yield _at_most(f"{results.cases[case].title}: CPU against {name}", limit, factor, " ×")


def _four(results: Results, case: str, alone: str) -> Iterator[Target]:
    """Yield the targets of several processes, against one process that copies an object alone."""
    if not results.has(case, "ours"):
        return
    title, ours = results.cases[case].title, results.cpu(case, "ours") / results.cases[case].total
    if results.has(alone, "ours"):
        factor = ours / (results.cpu(alone, "ours") / results.cases[alone].total)
        yield _at_most(f"{title}: CPU per GiB against one process", 1.2, factor, " ×")
    rclone = [results.seconds(case, name) for name in ("rclone", "rclone-tuned") if results.has(case, name)]
    if rclone:
        factor = min(rclone) / results.seconds(case, "ours")
        yield _at_least(f"{title}: speed against rclone, the quicker of both", 1.5, factor, " ×")


def _bulk(results: Results, case: str) -> Iterator[Target]:
    if not results.has(case, "ours"):
        return
    title, total = results.cases[case].title, results.cases[case].total
    ours = results.cpu(case, "ours")
    rclone = [name for name in ("rclone", "rclone-tuned") if results.has(case, name)]
    yield _at_most(f"{title}: CPU", 0.55, ours / total * GIB, " s/GiB")
    if rclone:
        cheaper = min(results.cpu(case, name) for name in rclone)
        quicker = min(results.seconds(case, name) for name in rclone)
        yield _at_most(f"{title}: CPU against rclone, the cheaper of both", 0.30, ours / cheaper, " ×")
        yield _at_least(
            f"{title}: speed against rclone, the quicker of both", 2, quicker / results.seconds(case, "ours"), " ×"
        )
    if results.has(case, "stock"):
        yield _at_most(f"{title}: CPU against the stock operator", 0.25, ours / results.cpu(case, "stock"), " ×")
    yield _at_most(f"{title}: memory above the imports", 8 * 8 + 40, results.memory(case, "ours") / MIB, " MiB")
    read = results.spread(case, "ours", lambda run: run.bytes_read).high / total
    yield _at_most(f"{title}: bytes read from S3 per byte delivered", 1, read, "")


def _small(results: Results) -> Iterator[Target]:
    if not results.has("small", "ours"):
        return
    case = results.cases["small"]
    ours = results.cpu("small", "ours")
    rclone = [name for name in ("rclone", "rclone-tuned") if results.has("small", name)]
    if rclone:
        cheaper = min(results.cpu("small", name) for name in rclone)
        yield _at_most(f"{case.title}: CPU against rclone, the cheaper of both", 1.0, ours / cheaper, " ×")
    if results.has("small", "stock"):
        yield _at_most(
            f"{case.title}: CPU against the stock operator", 0.12, ours / results.cpu("small", "stock"), " ×"
        )
    listings = ("LIST bucket", "List Blobs")
    requests = results.spread(
        "small",
        "ours",
        lambda run: sum(
            count for counted in (run.reads, run.writes) for name, count in counted.items() if name not in listings
        ),
    ).high
    yield _at_most(f"{case.title}: requests per object, beside the listings", 2, requests / case.objects, "")


def _linked(results: Results) -> Iterator[Target]:
    if results.has("link-large", "ours"):
        case = results.cases["link-large"]
        width = case.connections * (TO_SOURCE.rate or 0)
        speed = case.total / results.seconds("link-large", "ours")
        yield _at_least(f"{case.title}: share of {case.connections} × 25 MB/s", 0.9, speed / width, "")
    if results.has("link-small", "rclone-tuned") and results.has("link-small", "ours"):
        times = results.seconds("link-small", "ours") / results.seconds("link-small", "rclone-tuned")
        yield _at_most(f"{results.cases['link-small'].title}: time against rclone, tuned", 1.2, times, " ×")
    for case_id in ("link-large", "link-small"):
        if results.has(case_id, "stock") and results.has(case_id, "ours"):
            times = results.seconds(case_id, "stock") / results.seconds(case_id, "ours")
            yield _at_least(f"{results.cases[case_id].title}: speed against the stock operator", 8, times, " ×")


def _scale(results: Results) -> Iterator[Target]:
    for first, last, client, unit in (
        ("objects-1k", "objects-100k", "ours-batch", "object"),
        ("size-1", "size-32", "ours", "GiB"),
    ):
        if not (results.has(first, client) and results.has(last, client)):
            continue
        per_unit = []
        for case_id in (first, last):
            case = results.cases[case_id]
            per_unit.append(results.cpu(case_id, client) / (case.objects if unit == "object" else case.total))
        title = f"from {results.cases[first].title} to {results.cases[last].title}"
        yield _at_most(f"{title}: CPU per {unit}", FLAT, per_unit[1] / per_unit[0], " ×")
        grown = (results.memory(last, client) - results.memory(first, client)) / MIB
        yield _at_most(f"{title}: growth of the peak of memory", FLAT_MEMORY / MIB, grown, " MiB")


def _task(results: Results) -> Iterator[Target]:
    if not (results.tasks.get("task-ours") and results.tasks.get("task-empty")):
        return
    for what in ("cpu", "seconds"):
        ours, empty = (
            Spread.of([getattr(cost, what) for cost in results.tasks[name]]).median
            for name in ("task-ours", "task-empty")
        )
        name = {"cpu": "CPU", "seconds": "time"}[what]
        yield _at_most(
            f"the whole task, 1 MiB object: {name} against an empty PythonOperator task", 1.3, ours / empty, " ×"
        )
