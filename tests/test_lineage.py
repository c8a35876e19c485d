"""Datasets and statistics for OpenLineage."""

from __future__ import annotations

import pytest

from airflow_s3_azure.connections import AzureContainer
from airflow_s3_azure.lineage import Moved, Place, operator_lineage
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/b.csv", "a/b.csv"), ("exports/2026/", "exports/2026"), ("", "/"), ("/", "/"), ("a b/ü", "a b/ü")],
)
def test_a_path_is_named_as_spark_names_it(path: str, name: str) -> None:
    """A folder has no last slash, and all of a bucket is one slash, so that readers' lineage meets ours."""
    assert Place.of_s3("acme", path) == Place("s3://acme", name)


def test_places_are_named_as_openlineage_s_own_client_does() -> None:
    """The client knows the naming convention; ours is the same."""
    from openlineage.client.naming.dataset import S3, WASBS

    for place, theirs in [
        (Place.of_s3("acme", "a/b"), S3("acme", "a/b")),
        (Place.of_azure("account", "landing", "a/b"), WASBS("landing", "account", "a/b")),
    ]:
        assert place == Place(theirs.get_namespace(), theirs.get_name())


def test_prefixes_that_go_to_one_place_are_one_dataset_with_the_sum() -> None:
    """Two inputs, one output: OpenLineage keeps one of two outputs that have one name."""
    out = Place.of_azure("account", "landing", "all/")
    moves = [Moved(Place.of_s3("acme", name), out, files, 10 * files) for name, files in (("a/", 1), ("b/", 2))]

    lineage = operator_lineage(moves)

    assert [one.name for one in lineage.inputs] == ["a", "b"]
    (output,) = lineage.outputs
    statistics = output.outputFacets["outputStatistics"]
    assert (output.name, statistics.fileCount, statistics.size) == ("all", 3, 30)


def test_a_task_that_ended_before_it_began_has_no_datasets() -> None:
    """OpenLineage calls it for every outcome of a task."""
    operator = S3ToAzureBlobStreamOperator(task_id="copy", s3_bucket="bucket", s3_key="b", container_name="container")

    lineage = operator.get_openlineage_facets_on_complete(None)

    assert (lineage.inputs, lineage.outputs) == ([], [])


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://acme.blob.core.windows.net", "acme"),
        ("https://acme.blob.core.usgovcloudapi.net", "acme"),
        ("https://files.acme.example", "files.acme.example"),
    ],
)
def test_an_account_is_named_behind_a_custom_domain(url: str, account: str) -> None:
    """The SDK cannot derive the account from such a domain; the host identifies it as well."""
    from azure.storage.blob import ContainerClient

    container = AzureContainer(ContainerClient(url, "landing"), None)  # type: ignore[arg-type]

    assert container.place("a").namespace == f"wasbs://landing@{account}.dfs.core.windows.net"
