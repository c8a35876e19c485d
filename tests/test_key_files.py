"""The file of a list of keys: which URLs are one, and through which connection they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.connections import open_container
from airflow_s3_azure.connections.aws import open_bucket
from airflow_s3_azure.connections.key_files import file_beside, open_key_file
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError, PlanError, S3ToAzureError, SourceChanged, UntrustedFile
from airflow_s3_azure.sync.keys.stored_files import S3File, StoredFile

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]


def opened(bucket: Bucket, container: ContainerClient, url: str) -> StoredFile:
    """Open a URL beside a copy from the bucket to the container."""
    cancellation, endpoints = Cancellation(), Endpoints(bucket.name, str(container.container_name))
    return open_key_file(
        url,
        endpoints,
        open_bucket("aws_default", bucket.name, cancellation, max_concurrency=1),
        open_container("wasb_default", endpoints.container_name, cancellation),
        cancellation,
    )


def content(file: StoredFile) -> bytes:
    """Return what a file holds."""
    return b"".join(file.pieces())


@pytest.mark.parametrize("size", [0, 5, 5 * 1024 * 1024])
def test_an_object_is_read_in_pieces(bucket: Bucket, container: ContainerClient, size: int) -> None:
    """Its key may hold anything; a range is read as well, and another object of its bucket."""
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    bucket.put("a b/?x=1#.csv", body)
    bucket.put("other", b"other")

    file = opened(bucket, container, f"s3://{bucket.name}/a b/?x=1#.csv")

    assert content(file) == body
    assert size == 0 or file.read(1, 4) == body[1:4]
    assert isinstance(file, S3File)
    assert content(file_beside(file, "other")) == b"other"


def test_a_blob_of_another_container_of_the_account_is_read(
    bucket: Bucket, container: ContainerClient, azure_server: AzureServer
) -> None:
    """Through the connection of the destination."""
    lists = azure_server.container_client("lists")
    lists.upload_blob("a b.csv", b"key\na\n", overwrite=True)

    file = opened(bucket, container, f"{lists.url}/a%20b.csv")

    assert (file.name, content(file), file.read(0, 3)) == ("a b.csv", b"key\na\n", b"key")


@pytest.mark.parametrize("where", ["S3", "Azure"])
def test_a_file_that_changes_between_two_passes_is_an_error(
    bucket: Bucket, container: ContainerClient, where: str
) -> None:
    """A plan of two versions of a list would be of neither."""
    if where == "S3":
        bucket.put("l.csv", b"key\na\n")
        file = opened(bucket, container, f"s3://{bucket.name}/l.csv")
    else:
        container.upload_blob("l.csv", b"key\na\n")
        file = opened(bucket, container, f"{container.url}/l.csv")
    assert content(file) == b"key\na\n"
    if where == "S3":
        bucket.put("l.csv", b"key\nb\n")
    else:
        container.upload_blob("l.csv", b"key\nb\n", overwrite=True)

    with pytest.raises((SourceChanged, UntrustedFile)):
        content(file)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("s3://bucket", ConfigurationError, "it takes the URL of one object, such as s3://bucket/lists/keys.csv"),
        ("s3://bucket/", ConfigurationError, "it takes the URL of one object"),
        (
            "{container}",
            ConfigurationError,
            "it takes s3://bucket/key, or the URL of a blob of the destination account",
        ),
        ("https://other.blob.core.windows.net/c/x.csv", ConfigurationError, "a blob of the destination account"),
        ("{container}/x.csv?sig=secret", ConfigurationError, "with a query or a login, which may be a credential"),
        ("https://user:secret@other/c/x.csv", ConfigurationError, "with a query or a login"),
        ("{container}/../../x.csv", ConfigurationError, "Azure resolves the path segments"),
        ("{container}/%2e%2e/x.csv", ConfigurationError, "Azure resolves the path segments"),
        ("{container}/gone.csv", PlanError, "there is no such blob"),
    ],
)
def test_a_url_that_is_no_file_is_refused(
    bucket: Bucket, container: ContainerClient, url: str, error: type[S3ToAzureError], message: str
) -> None:
    """No credential in it is quoted, and no request leaves the container."""
    with pytest.raises(error) as found:
        content(opened(bucket, container, url.format(container=container.url)))

    assert message in str(found.value).replace("\n  ", " ")
    assert "secret" not in str(found.value)
