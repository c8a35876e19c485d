"""Telling how far a copy is, whatever the store does meanwhile."""

from __future__ import annotations

import threading
from typing import Any

from airflow_s3_azure.live_progress import LiveProgress, at_most_every

PATIENCE = 30.0


class Store:
    """Takes what is told; tells when it was told something."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.was_told = threading.Event()

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Take a value, as Airflow's state store does."""
        assert key == "progress"
        self.told.append(value)
        self.was_told.set()


def test_the_newest_is_told() -> None:
    """With what is done, what there is in all, and what was begun last."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=10, size=1000, seconds=0.01) as live:
        live.update(3, 250, "a/b.csv")
        assert store.was_told.wait(PATIENCE)

    (told,) = store.told
    assert told.keys() == {
        "objects",
        "all_objects",
        "bytes",
        "all_bytes",
        "bytes_per_second",
        "seconds_left",
        "current",
    }
    assert (told["objects"], told["all_objects"], told["bytes"], told["all_bytes"]) == (3, 10, 250, 1000)
    assert told["current"] == "a/b.csv"
    assert told["bytes_per_second"] > 0


def test_bytes_never_pass_what_there_is_in_all() -> None:
    """An object may have grown since the plan."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=1000, seconds=0.01) as live:
        live.update(0, 1200, None)
        assert store.was_told.wait(PATIENCE)

    assert (store.told[0]["bytes"], store.told[0]["seconds_left"]) == (1000, None)


def test_bytes_of_an_earlier_execution_do_not_count_for_the_rate() -> None:
    """They are done, and were not copied now: the rate and the time left stay those of this execution."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=1000, seconds=0.01) as live:
        live.update(0, 900, "key", resumed=900)
        assert store.was_told.wait(PATIENCE)

    found = store.told[0]
    assert (found["bytes"], found["bytes_per_second"], found["seconds_left"]) == (900, 0, None)


def test_the_size_may_be_known_later() -> None:
    """A single object's is known when it was asked for."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, seconds=0.01) as live:
        live.update(0, 0, "key")
        assert store.was_told.wait(PATIENCE)
        store.was_told.clear()
        live.update(0, 5, "key", total=20)
        assert store.was_told.wait(PATIENCE)

    assert [(one["bytes"], one["all_bytes"]) for one in store.told] == [(0, None), (5, 20)]


def test_what_did_not_change_is_not_told_again() -> None:
    """A copy that waits costs the API server nothing."""
    store = Store()
    with LiveProgress({"task_state_store": store}, objects=1, size=10, seconds=0.01) as live:
        live.update(0, 5, "key")
        assert store.was_told.wait(PATIENCE)
        store.was_told.clear()
        assert not store.was_told.wait(0.2)

    assert len(store.told) == 1


def test_nothing_is_told_where_airflow_has_no_store() -> None:
    """Airflow 3.2: no thread, no error."""
    before = threading.active_count()
    with LiveProgress({}, objects=1, size=10) as live:
        live.update(0, 5, "key")
        assert threading.active_count() == before


def test_a_store_that_fails_does_not_end_the_copy() -> None:
    """The next is told all the same."""
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
        assert store.was_told.wait(PATIENCE)

    assert [one["bytes"] for one in store.told] == [2]


def test_a_store_that_hangs_holds_nobody_up() -> None:
    """Neither while it copies nor, for more than a second, at the end: the API server may be away for minutes."""
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


def test_the_log_is_told_less_often() -> None:
    """Not before its time has come, then at once."""
    heard: list[int] = []
    at_most_every(60, heard.append)(1)
    at_once = at_most_every(0, heard.append)
    at_once(2)
    at_once(3)

    assert heard == [2, 3]
