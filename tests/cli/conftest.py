"""Runs a command through Airflow's own main function, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.sync_group.conftest import sync


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


Airflow = Callable[..., Done]


@pytest.fixture
def airflow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Runs ``airflow s3-azure`` with arguments; return its exit code and what it wrote."""
    from airflow.__main__ import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["airflow", "s3-azure", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()  # type: ignore[no-untyped-call]
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


__all__ = ["airflow", "sync"]
