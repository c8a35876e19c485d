"""Imports of a task: without Python's garbage collector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_s3_azure.connections.imports import import_uncollected

_CYCLES = "import gc; made = [[] for _ in range(200_000)]; enabled = gc.isenabled()"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a module that makes so many objects that the collector would run."""
    name = "module_of_many_objects"
    (tmp_path / f"{name}.py").write_text(_CYCLES)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    gc.unfreeze()


def test_an_import_runs_no_collection_and_exempts_what_it_made(module: str) -> None:
    """The collector is off during the import and on after it, and does not visit the imported objects later."""
    generations: list[int] = []

    def on_collection(phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.callbacks.append(on_collection)
    try:
        imported = import_uncollected(module)
        enabled = gc.isenabled()
        frozen = gc.get_freeze_count()
    finally:
        gc.callbacks.remove(on_collection)

    assert (generations, imported.enabled, enabled) == ([], False, True)
    assert frozen > 200_000


def test_a_collector_that_is_off_stays_off(module: str) -> None:
    """A process that runs without the collector is left as it is."""
    gc.disable()
    try:
        import_uncollected(module)

        assert (gc.isenabled(), gc.get_freeze_count()) == (False, 0)
    finally:
        gc.enable()


def test_a_failed_import_turns_the_collector_on_again() -> None:
    """The error is the import's own."""
    try:
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            import_uncollected("no_such_module")

        assert gc.isenabled()
    finally:
        gc.unfreeze()
