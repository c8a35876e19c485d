"""The wait for restores: when it is worth to copy again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure import triggers
from airflow_s3_azure.triggers import RestoreTrigger


def _fired(monkeypatch: pytest.MonkeyPatch, waiting: int, polls: list[dict[str, Any]], clock: list[float]) -> Any:
    """Return the event and how many polls were left."""
    left: Iterator[dict[str, Any]] = iter(polls)
    times = iter(clock)
    monkeypatch.setattr(triggers, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(triggers, "time", SimpleNamespace(monotonic=lambda: next(times, clock[-1])))
    monkeypatch.setattr(RestoreTrigger, "_poll", lambda *_: next(left))
    path, arguments = RestoreTrigger({"s3_bucket": "b"}, {}, {"index": 0}, "run", waiting).serialize()
    assert path == "airflow_s3_azure.triggers.RestoreTrigger"
    trigger = RestoreTrigger(**json.loads(json.dumps(arguments)))

    async def first() -> Any:
        return await anext(trigger.run())

    event = asyncio.run(first())
    return event.payload, len(list(left))


@pytest.mark.parametrize(
    ("waiting", "polls", "used"),
    [
        (1, [1, 1, 0], 3),
        (100, [100, 95, 90], 3),
        (100, [101, 0], 2),
        (5, [4], 1),
    ],
)
def test_a_tenth_of_what_waits_is_worth_a_copy(
    monkeypatch: pytest.MonkeyPatch, waiting: int, polls: list[int], used: int
) -> None:
    """Of a few keys that is each one."""
    event, left = _fired(monkeypatch, waiting, [{"waiting": count} for count in polls], [0.0])

    assert event == {"waiting": polls[used - 1]}
    assert left == len(polls) - used


def test_a_restored_object_waits_for_an_hour_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the poll that saw it; days are not lost to the slowest restore."""
    polls = [{"waiting": count} for count in (100, 99, 98, 97)]

    event, left = _fired(monkeypatch, 100, polls, [10.0, 10.0, 3_609.0, 3_611.0])

    assert (event, left) == ({"waiting": 97}, 0)


def test_a_poll_that_fails_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task raises its error, and a retry waits again."""
    event, _ = _fired(monkeypatch, 1, [{"waiting": 1}, {"error": {"type": "SourceReadError"}}], [0.0])

    assert event == {"error": {"type": "SourceReadError"}}
