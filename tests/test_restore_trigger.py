"""The wait for restores: when it is worth to copy again."""

from __future__ import annotations

import asyncio
import json
import pkgutil
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure import triggers
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.errors import (
    DestinationWriteError,
    S3ToAzureError,
    SourceAccessDenied,
    SourceNotFound,
    SourceReadError,
    error_as_json,
)
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.triggers import ObjectRestoreTrigger, RestoreTrigger, RestoringTrigger
from tests.fakes.memory_container import MemoryContainer

AT_ONCE = {"restore_poll_interval": 0}
"""Options of a trigger that polls without a wait."""


def _stored(trigger: RestoringTrigger) -> RestoringTrigger:
    """Return a trigger as a restarted triggerer makes it, of what Airflow stored."""
    path, arguments = trigger.serialize()
    made: Any = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    assert made.serialize() == (path, arguments)
    return made  # type: ignore[no-any-return]


def _fired(
    monkeypatch: pytest.MonkeyPatch, waiting: int, polls: Sequence[dict[str, Any] | None], clock: list[float]
) -> Any:
    """Return the event and how many polls were left."""
    left: Iterator[dict[str, Any] | None] = iter(polls)
    times = iter(clock)
    monkeypatch.setattr(triggers, "time", SimpleNamespace(monotonic=lambda: next(times, clock[-1])))
    monkeypatch.setattr(RestoreTrigger, "_poll", lambda *_: next(left))
    trigger = _stored(
        RestoreTrigger({"s3_bucket": "b"}, AT_ONCE, batch={"index": 0}, run_folder="run", waiting=waiting)
    )

    event = asyncio.run(_first(trigger))
    return event.payload, len(list(left))


async def _first(trigger: RestoringTrigger) -> Any:
    return await anext(trigger.run())


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


def test_an_error_that_stays_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task raises it."""
    event, _ = _fired(monkeypatch, 1, [{"waiting": 1}, {"error": {"type": "SourceAccessDenied"}}], [0.0])

    assert event == {"error": {"type": "SourceAccessDenied"}}


def test_a_poll_without_a_response_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one goes on; no try of the task is used."""
    event, left = _fired(monkeypatch, 1, [{"waiting": 1}, None, None, {"waiting": 0}], [0.0])

    assert (event, left) == ({"waiting": 0}, 0)


class Source:
    """A bucket with one object.

    :param found: whether it is archived, or the error of each HEAD
    """

    def __init__(self, *found: bool | S3ToAzureError) -> None:
        self.found = iter(found)
        self.heads: list[tuple[str, str | None]] = []

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Return the object."""
        self.heads.append((key, version_id))
        found = next(self.found)
        if isinstance(found, S3ToAzureError):
            raise found
        return SourceObject(key, 1, "e", version_id, storage_class="GLACIER", is_archived=found)


def _object_trigger(monkeypatch: pytest.MonkeyPatch, source: Source, version_id: str | None = None) -> RestoringTrigger:
    monkeypatch.setattr(triggers, "open_endpoints", lambda *_: (SimpleNamespace(source=source), None))
    endpoints = Endpoints("bucket", "landing").as_json()
    return _stored(
        ObjectRestoreTrigger(endpoints, AT_ONCE, s3_key="a/key", blob_name="a/key", s3_version_id=version_id)
    )


@pytest.mark.parametrize("version_id", [None, "v1"])
def test_a_single_object_is_watched_by_a_head_of_its_version(
    monkeypatch: pytest.MonkeyPatch, version_id: str | None
) -> None:
    """Until it can be read."""
    source = Source(True, True, False)

    event = asyncio.run(_first(_object_trigger(monkeypatch, source, version_id)))

    assert event.payload == {"waiting": 0}
    assert source.heads == [("a/key", version_id)] * 3


@pytest.mark.parametrize(
    "passing",
    [
        SourceReadError("S3 returned 503"),
        SourceReadError("there is no host", retryable=False),
        DestinationWriteError("Azure could not be reached"),
        SourceAccessDenied("the clocks differ", retryable=True),
    ],
)
def test_an_outage_is_waited_out(monkeypatch: pytest.MonkeyPatch, passing: S3ToAzureError) -> None:
    """Of either endpoint, of the network or of DNS, after the request's own retries; a worker's clock may be set."""
    source = Source(True, passing, passing, False)

    event = asyncio.run(_first(_object_trigger(monkeypatch, source)))

    assert event.payload == {"waiting": 0}
    assert len(source.heads) == 4


def test_a_refused_poll_ends_the_wait_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """No later poll would be allowed."""
    refused = SourceAccessDenied("S3 returned 403", key="s3://bucket/a/key")

    event = asyncio.run(_first(_object_trigger(monkeypatch, Source(True, refused))))

    assert event.payload == {"error": error_as_json(refused)}


def test_a_manifest_that_is_gone_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifecycle rule, or a human, deleted the plan's folder: no poll finds it again, so the task would wait without end."""
    container = SimpleNamespace(client=MemoryContainer().as_client())
    monkeypatch.setattr(triggers, "open_endpoints", lambda *_: (SimpleNamespace(source=Source()), container))
    run = "_s3_to_azure/dag/run"
    reference = BatchReference(f"{run}/plan", 0, "all", 1, 1, 0, 9, "", '"etag"', ((9, 1, "digest"),))
    endpoints = Endpoints("bucket", "landing").as_json()
    trigger = RestoreTrigger(endpoints, AT_ONCE, batch=reference.as_json(run), run_folder=run, waiting=1)

    event = asyncio.run(asyncio.wait_for(_first(_stored(trigger)), timeout=10))

    assert event.payload["error"]["message"] == "it is gone; clear the plan task to make a new one"


def test_an_object_that_is_deleted_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy then names what is missing."""
    event = asyncio.run(_first(_object_trigger(monkeypatch, Source(True, SourceNotFound("S3 returned 404")))))

    assert event.payload == {"waiting": 0}
