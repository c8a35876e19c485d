"""The guide lists every check, and its command runs."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.preflight.catalog import CHECKS
from tests.cli.conftest import airflow  # noqa: F401 - a fixture
from tests.conftest import ROOT
from tests.preflight.conftest import PREFIX, Preflight

if TYPE_CHECKING:
    from tests.cli.conftest import Airflow

GUIDE = (ROOT / "docs" / "how-to" / "preflight.md").read_text()


@pytest.mark.checkout
def test_the_guide_lists_every_check() -> None:
    """With what it proves and the permission that it needs, in the order in which they run."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (?:`(.+)`)? ?\|$", GUIDE, re.MULTILINE)

    assert [row[:2] for row in rows] == [(one.name, one.proves) for one in CHECKS]
    for (name, _, action), check in zip(rows, CHECKS, strict=True):
        needed = "" if check.permission is None else check.permission.action
        assert (bool(action), needed.endswith(action)) == (bool(needed), True), name
    assert f"{len(CHECKS)} checks" in GUIDE


@pytest.mark.servers
@pytest.mark.airflow
def test_the_guides_command_runs(airflow: Airflow, preflight: Preflight) -> None:  # noqa: F811
    """With a bucket and a container of its own."""
    (command,) = re.findall(r"^airflow s3-azure (preflight .+)$", GUIDE, re.MULTILINE)
    names = {"acme-exports/exports/": f"{preflight.bucket.name}/{PREFIX}"}
    names |= {"landing/": f"{preflight.container.container_name}/"}
    for name, own in names.items():
        command = command.replace(name, own)

    done = airflow(*shlex.split(command), "--output", "table")

    assert (done.code, done.err) == (0, "")
    assert "it is in skip" in done.out
