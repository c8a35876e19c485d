"""The commands of the guides do what the guides claim."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Airflow
    from tests.sync_group.nights import Sync

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = [
    shlex.split(line.partition(" > ")[0])
    for page in ("how-to/command-line.md", "operations/runbook.md")
    for block in re.findall(r"```bash\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    for line in block.splitlines()
]

pytestmark = [pytest.mark.airflow, pytest.mark.servers]


def test_the_guides_commands_are_done(airflow: Airflow, sync: Sync) -> None:
    """In their order, with the names of this test; each prints its result."""
    sync.put("sales/2026.csv")
    night = sync.night()
    names = {
        "acme-exports": sync.bucket.name,
        "landing": sync.container.container_name,
        "s3_to_azure_nightly": night.run.dag_id,
    }

    assert {command[2] for command in COMMANDS} == {"copy", "plan", "ledger", "audit"}
    for command in COMMANDS:
        assert command[:2] == ["airflow", "s3-azure"]
        arguments = [re.sub("|".join(names), lambda found: names[found[0]], one) for one in command[2:]]
        done = airflow(*arguments)
        assert (done.code, done.err, bool(done.out)) == (0, "", True), command
