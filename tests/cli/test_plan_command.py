"""``airflow s3-azure plan``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.cli.plan_command import NOT_OFFERED, POSITIONAL
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.operators.option_groups import option_names
from airflow_s3_azure.operators.plan_arguments import PlanArguments

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.cli.conftest import Airflow
    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow, pytest.mark.servers, pytest.mark.usefixtures("connections")]


def blobs(container: ContainerClient) -> list[str]:
    """Return the blobs that are no records of a plan."""
    return [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]


def test_a_plan_counts_and_prices_what_a_sync_would_copy(
    airflow: Airflow, bucket: Bucket, container: ContainerClient
) -> None:
    """And copies nothing; what the filters leave out is not in it."""
    for key in ("in/a.csv", "in/b.csv", "in/c.tmp", "other"):
        bucket.put(key, bytes(1024))
    there = f"{container.container_name}/to/"
    airflow("copy", f"s3://{bucket.name}/in/b.csv", there)

    options = (
        "--include",
        "**/*.csv",
        "--include",
        "**/*.tmp",
        "--exclude",
        "**/*.tmp",
        "--egress-price-per-gib",
        "1000",
    )
    done = airflow("plan", f"s3://{bucket.name}/in/", there, *options, "-o", "json")

    assert (done.code, done.err) == (0, "")
    totals = json.loads(done.out)
    assert (totals["counts"]["copy"], totals["counts"]["unchanged"], totals["size"]) == (1, 1, 1024)
    assert totals["destination"].endswith("/to/in/")
    assert (totals["cost"]["s3_requests"], totals["cost"]["azure_requests"]) == (1, 1)
    assert blobs(container) == ["to/in/b.csv"]


def test_the_table_names_what_would_be_copied(airflow: Airflow, bucket: Bucket, container: ContainerClient) -> None:
    """With the price, and where the manifest is."""
    bucket.put("a", bytes(2**20))

    done = airflow("plan", f"s3://{bucket.name}", container.container_name, "--egress-price-per-gib", "90")

    lines = [line.strip().split("  ", maxsplit=1) for line in done.out.splitlines()]
    table = {name: value.strip() for name, value in lines}
    assert table["to copy"] == "1 (1.0 MiB) in 1 batches"
    assert table["egress"] == "0.001 GiB, price 0.09"
    assert table["ledger"].startswith(f"{container.url}/_s3_to_azure/s3-azure-cli/")


def test_the_table_names_conflicts(airflow: Airflow, bucket: Bucket, container: ContainerClient) -> None:
    """They are not found only by the copies that fail."""
    bucket.put("a", b"content")
    container.get_blob_client("a").create_append_blob()

    done = airflow("plan", f"s3://{bucket.name}", container.container_name)

    assert "1 of the keys to copy conflict at the destination ('a'): there is an append blob of this name" in done.out


def test_the_table_names_archived_blobs_that_are_replaced(
    airflow: Airflow, bucket: Bucket, container: ContainerClient
) -> None:
    """A dry run deletes none."""
    bucket.put("a", b"content")
    container.upload_blob("a", b"old", standard_blob_tier=StandardBlobTier.ARCHIVE)
    arguments = ("plan", f"s3://{bucket.name}", container.container_name, "--overwrite-archived", "--max-delete", "1")

    done = airflow(*arguments)

    assert re.search(r"archived blobs to replace\s+\W?\s*1\b", done.out)
    assert "conflict" not in done.out
    assert container.get_blob_client("a").get_blob_properties().blob_tier == "Archive"


@pytest.mark.parametrize(
    ("option", "value", "code", "message"),
    [
        ("--first-day", "yesterday", 2, "first_day is 'yesterday'; it takes a day"),
        ("--last-day", "2026-11-22", 2, "no day_folder that locates the day"),
        ("--modified-since", "yesterday", 2, "modified_since is 'yesterday'; it takes a time"),
        ("--modified-before", "now", 2, "modified_before is 'now'; it takes a time"),
        ("--min-size", "much", 2, "min_size is 'much'; it takes a size"),
        ("--max-size", "-1", 2, "max_size is '-1'; it takes a size"),
        ("--strip-prefix", "x/", 2, "strip_prefix 'x/' is not the beginning"),
        ("--blob-template", "{nothing}", 2, "nothing"),
        ("--compare", "date", 2, "invalid choice: 'date'"),
        ("--egress-price-per-gib", "cheap", 2, "egress_price_per_gib is 'cheap'; it takes a number"),
        ("--max-objects", "0", 1, "PlanError"),
        ("--max-bytes", "1", 1, "PlanError"),
        ("--archived", "restore", 2, "invalid choice: 'restore'"),
        ("--delete", "all", 2, "invalid choice: 'all'"),
        ("--max-delete", "few", 2, "max_delete is 'few'; it takes a number"),
        ("--batch-objects", "0", 2, "batch_objects is '0'; it takes at least 1"),
        ("--batch-size", "0", 2, "batch_size is '0'; it takes at least 1"),
        ("--block-size", "1", 2, "block_size is '1'; it takes 64 KiB"),
        ("--aws-conn-id", "missing", 2, "there is no Airflow connection 'missing'"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_refused(
    airflow: Airflow,
    bucket: Bucket,
    container: ContainerClient,
    option: str,
    value: str,
    code: int,
    message: str,
) -> None:
    """With the operators' message; limits that are exceeded are failures."""
    bucket.put("key", b"content")

    done = airflow("plan", f"s3://{bucket.name}", container.container_name, f"{option}={value}")

    assert done.code == code
    assert message in " ".join(done.err.split())


def test_a_place_that_cannot_be_meant_is_refused(airflow: Airflow) -> None:
    """As in a copy."""
    for source, destination in (("bucket", "container"), ("s3://b1x", "https://a.blob.core.windows.net/c?sig=SECRET")):
        done = airflow("plan", source, destination)

        assert (done.code, done.out) == (2, "")
        assert "SECRET" not in done.err


def test_every_option_of_a_plan_is_an_option_of_the_command() -> None:
    """An option that the operators gain is named in airflow_s3_azure/cli/definition.py too, or is not offered."""
    from airflow.cli.cli_parser import get_parser

    args = vars(get_parser().parse_args(["s3-azure", "plan", "s3://b", "c"]))

    assert {*option_names(Endpoints, PlanArguments)} - POSITIONAL - NOT_OFFERED - args.keys() == set()
