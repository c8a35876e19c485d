"""Reporting the progress of a copy, even while the store fails or hangs."""

from __future__ import annotations

import threading
from typing import Any

from airflow_s3_azure.live_progress import LiveProgress, at_most_every

PATIENCE = 30.0


class Store:
    """Keeps the written values; an event reports each write."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.was_written = threading.Event()

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Keep a value, as Airflow's state store does."""
        assert key == "progress"
        self.written.append(value)
        self.was_written.set()


def test_the_newest_progress_is_written() -> None:
    """With what is done, the totals, and the key begun last."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=10, size=1000, seconds=0.01) as live:
        live.update(3, 250, "a/b.csv")
        assert store.was_written.wait(PATIENCE)

    (value,) = store.written
    assert value.keys() == {
        "objects",
        "all_objects",
        "bytes",
        "all_bytes",
        "bytes_per_second",
        "seconds_left",
        "current",
    }
    assert (value["objects"], value["all_objects"], value["bytes"], value["all_bytes"]) == (3, 10, 250, 1000)
    assert value["current"] == "a/b.csv"
    assert value["bytes_per_second"] > 0


def test_bytes_never_exceed_the_total() -> None:
    """An object may have grown since the plan."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=1000, seconds=0.01) as live:
        live.update(0, 1200, None)
        assert store.was_written.wait(PATIENCE)

    assert (store.written[0]["bytes"], store.written[0]["seconds_left"]) == (1000, None)


def test_bytes_of_an_earlier_execution_do_not_count_for_the_rate() -> None:
    """They were not copied now: the rate and the time left are those of this execution."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=1000, seconds=0.01) as live:
        live.update(0, 900, "key", resumed=900)
        assert store.was_written.wait(PATIENCE)

    found = store.written[0]
    assert (found["bytes"], found["bytes_per_second"], found["seconds_left"]) == (900, 0, None)


def test_the_size_may_be_known_later() -> None:
    """The size of a single object is known after its HEAD."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, seconds=0.01) as live:
        live.update(0, 0, "key")
        assert store.was_written.wait(PATIENCE)
        store.was_written.clear()
        live.update(0, 5, "key", total=20)
        assert store.was_written.wait(PATIENCE)

    assert [(one["bytes"], one["all_bytes"]) for one in store.written] == [(0, None), (5, 20)]


def test_unchanged_progress_is_not_written_again() -> None:
    """A copy that waits costs the API server nothing."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=10, seconds=0.01) as live:
        live.update(0, 5, "key")
        assert store.was_written.wait(PATIENCE)
        store.was_written.clear()
        assert not store.was_written.wait(0.2)

    assert len(store.written) == 1


def test_nothing_is_written_where_airflow_has_no_store() -> None:
    """Airflow 3.2: no thread, no error."""
    before = threading.active_count()
    with LiveProgress({}, objects=1, size=10) as live:
        live.update(0, 5, "key")
        assert threading.active_count() == before


def test_a_store_that_fails_does_not_end_the_copy() -> None:
    """The next progress is written."""
    store = Store()
    failed = threading.Event()

    class Failing(Store):
        def set(self, key: str, value: dict[str, Any]) -> None:
            if not failed.is_set():
                failed.set()
                raise ConnectionError
            store.set(key, value)

    with LiveProgress({"task_state_store": Failing()}, objects=1, size=10, seconds=0.01) as live:
        live.update(0, 1, "key")
        assert failed.wait(PATIENCE)
        live.update(0, 2, "key")
        assert store.was_written.wait(PATIENCE)

    assert [one["bytes"] for one in store.written] == [2]


def test_a_store_that_hangs_does_not_delay_the_copy() -> None:
    """Neither while it copies nor, for more than a second, at the end: the API server may be down for minutes."""
    hanging, release, returned = threading.Event(), threading.Event(), threading.Event()

    class Hanging:
        def set(self, key: str, value: object) -> None:
            del key, value
            hanging.set()
            release.wait(PATIENCE)
            returned.set()

    with LiveProgress({"task_state_store": Hanging()}, objects=1, size=10, seconds=0.01) as live:
        live.update(0, 1, "key")
        assert hanging.wait(PATIENCE)
        for size in range(1000):
            live.update(0, size, "key")
    was_hanging = not returned.is_set()
    release.set()

    assert was_hanging


def test_log_lines_are_rate_limited() -> None:
    """None within the interval, then at once."""
    logged: list[int] = []
    at_most_every(60, logged.append)(1)
    at_once = at_most_every(0, logged.append)
    at_once(2)
    at_once(3)

    assert logged == [2, 3]
