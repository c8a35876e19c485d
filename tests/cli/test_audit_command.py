"""``airflow s3-azure audit``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.cli.audit_command import POSITIONAL
from airflow_s3_azure.operators.audit_arguments import AuditArguments
from airflow_s3_azure.operators.option_groups import option_names

if TYPE_CHECKING:
    from tests.cli.conftest import Airflow
    from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.airflow, pytest.mark.servers]


def test_an_untouched_container_is_intact_and_a_changed_blob_is_named(airflow: Airflow, sync: Sync) -> None:
    """The run's digest comes from Airflow; the totals are printed before the command fails."""
    sync.put("in/a", "in/b")
    sync.night()
    there = sync.container.container_name

    intact = airflow("audit", there, "--deep", "-o", "json")
    sync.container.upload_blob("in/b", b"theirs", overwrite=True)
    changed = airflow("audit", f"{sync.container.url}/in/", "-o", "json")
    table = airflow("audit", there)

    totals = json.loads(intact.out)
    assert (intact.code, intact.err, totals["intact"], totals["read"]) == (0, "", 2, 2)
    assert [run["is_confirmed"] for run in totals["runs"]] == [True]
    found = json.loads(changed.out)
    assert (changed.code, found["intact"], found["changed"]) == (1, 1, 1)
    assert changed.err.startswith("AuditFailed: 1 changed of 2 blobs: 'in/b'")
    assert (table.code, ["changed", "1"] in [line.split() for line in table.out.splitlines()]) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no complete run of a sync"),
        (["--compare-with", "memory"], "invalid choice: 'memory'"),
        (["--runs", "some"], "invalid choice: 'some'"),
        (["--ledger", "https://host/elsewhere"], "has no _s3_to_azure/ in it"),
        (["--files-digest", "abc"], "files_digest is 'abc'; it takes"),
        (["--sample", "2"], "sample is '2'; it takes a share"),
        (["--sample", "0.5"], "nothing is read: set deep=True"),
        (["--nights", "0"], "nights is '0'; it takes at least 1"),
        (["--deep", "--night", "1"], "nights is not given"),
        (["--max-concurrency", "0"], "max_concurrency is '0'; it takes at least 1"),
        (["--max-bandwidth", "fast"], "max_bandwidth is 'fast'; it takes a size"),
        (["--wasb-conn-id", "missing"], "there is no Airflow connection 'missing'"),
        (["--output", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_refused(
    airflow: Airflow, sync: Sync, arguments: list[str], message: str
) -> None:
    """With the operators' message."""
    done = airflow("audit", sync.container.container_name, *arguments)

    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_every_option_of_an_audit_is_an_option_of_the_command() -> None:
    """An option that the operator gains is named in airflow_s3_azure/cli/definition.py too."""
    from airflow.cli.cli_parser import get_parser

    args = vars(get_parser().parse_args(["s3-azure", "audit", "c"]))

    assert {*option_names(AuditArguments)} - POSITIONAL - args.keys() == set()
