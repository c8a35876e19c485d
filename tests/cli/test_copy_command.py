"""``airflow s3-azure copy``."""

from __future__ import annotations

import csv
import io
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.operators.option_groups import option_names

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.cli.conftest import Airflow
    from tests.conftest import Bucket
    from tests.servers import AzureServer

pytestmark = [pytest.mark.airflow]
with_servers = [pytest.mark.servers, pytest.mark.usefixtures("connections")]

MIB = 1024 * 1024


class WithServers:
    """What copies between the two servers."""

    pytestmark = with_servers


class TestCopies(WithServers):
    """Objects that are copied."""

    def test_an_object_becomes_the_blob_of_a_url(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient
    ) -> None:
        """The key is verbatim, the URL percent-decoded, and standard output holds the result alone."""
        body = bytes(range(256)) * 8 * 1024
        bucket.put("a b/ü%20.bin", body)

        source, destination = f"s3://{bucket.name}/a b/ü%20.bin", f"{container.url}/to/x%2520y.bin"
        done = airflow("copy", source, destination, "--output", "json", "--block-size", "1 MiB")

        assert (done.code, done.err) == (0, "")
        row = json.loads(done.out)
        assert (row["status"], row["blob"], row["size"], row["blocks"]) == ("copied", "to/x%20y.bin", 2 * MIB, 2)
        assert container.download_blob("to/x%20y.bin").readall() == body

    @pytest.mark.parametrize(
        ("destination", "blob"), [("", "in/key"), ("/", "in/key"), ("/to/", "to/in/key"), ("/to", "to")]
    )
    def test_a_prefix_is_put_before_the_key(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient, destination: str, blob: str
    ) -> None:
        """As in a sync; a second copy of the same object is unchanged."""
        bucket.put("in/key", b"content")
        arguments = ("copy", f"s3://{bucket.name}/in/key", f"{container.container_name}{destination}", "-o", "csv")

        rows = [next(csv.DictReader(io.StringIO(airflow(*arguments).out))) for _ in range(2)]

        assert [(row["status"], row["blob"]) for row in rows] == [("copied", blob), ("unchanged", blob)]
        assert container.download_blob(blob).readall() == b"content"

    def test_the_table_says_what_became_of_the_object(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient
    ) -> None:
        """With whole URLs, whatever their length."""
        key = "k" * 300
        bucket.put(key, b"content")

        done = airflow("copy", f"s3://{bucket.name}/{key}", container.container_name)

        lines = [line.strip().split(maxsplit=1) for line in done.out.splitlines()]
        assert ["status", "copied"] in lines
        assert ["source", f"s3://{bucket.name}/{key}"] in lines
        assert ["size", "7 B"] in lines

    def test_a_blob_that_exists_is_left_alone_on_request(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient
    ) -> None:
        """The reason is in the result; nothing failed."""
        bucket.put("key", b"new")
        container.upload_blob("key", b"someone else's")

        done = airflow("copy", f"s3://{bucket.name}/key", container.container_name, "--no-overwrite", "-o", "json")

        assert (done.code, json.loads(done.out)["status"]) == (0, "skipped")
        assert container.download_blob("key").readall() == b"someone else's"

    def test_a_missing_object_is_a_failure(self, airflow: Airflow, bucket: Bucket, container: ContainerClient) -> None:
        """With the operators' error, and nothing on standard output."""
        done = airflow("copy", f"s3://{bucket.name}/missing", container.container_name)

        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("SourceNotFound: ")

    def test_ctrl_c_ends_a_copy_that_the_same_command_resumes(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The exit code is a shell's for Ctrl-C; what is staged is not read again."""
        from airflow_s3_azure.engine.azure.container import BlobContainer

        body = bytes(4 * MIB)
        bucket.put("key", body)
        arguments = ["copy", f"s3://{bucket.name}/key", container.container_name, "--block-size", "1MiB", "-o", "json"]
        stage = BlobContainer.stage
        staged: list[Any] = []
        handlers: list[Any] = []

        def stage_and_interrupt(self: BlobContainer, *args: Any, **options: Any) -> Any:
            done = stage(self, *args, **options)
            staged.append(args)
            if len(staged) == 2:
                handlers[-1](signal.SIGINT, None)
            return done

        def install(_: int, handler: Any) -> Any:
            handlers.append(handler)
            return signal.default_int_handler

        with monkeypatch.context() as patched:
            patched.setattr(BlobContainer, "stage", stage_and_interrupt)
            patched.setattr(signal, "signal", install)
            # A background job of a shell ignores SIGINT, and its children inherit that.
            patched.setattr(signal, "getsignal", lambda _: signal.default_int_handler)
            stopped = airflow(*arguments, "--max-concurrency", "1")
        left = len(container.get_blob_client("key").get_block_list("uncommitted")[1])
        resumed = airflow(*arguments)

        assert (stopped.code, stopped.out) == (130, "")
        assert left >= 2
        assert "Ctrl-C was pressed" in stopped.err
        assert "The same command resumes" in stopped.err
        row = json.loads(resumed.out)
        assert (resumed.code, row["bytes_read"]) == (0, (4 - row["resumed_blocks"]) * MIB)
        assert row["resumed_blocks"] >= left  # a block in flight at Ctrl-C may arrive after the list was read
        assert container.download_blob("key").readall() == body


class TestMistakes(WithServers):
    """What is refused before anything is copied."""

    @pytest.mark.parametrize(
        ("source", "destination", "message"),
        [
            (
                "https://bucket.s3.amazonaws.com/key?X-Amz-Signature=SECRET",
                "container/blob",
                "it takes s3://bucket/key",
            ),
            ("bucket/key", "container/blob", "it takes s3://bucket/key"),
            ("s3://bucket", "container/blob", "a prefix; copy takes one object"),
            ("s3://bucket/prefix/", "container/blob", "a prefix; copy takes one object"),
            ("s3:///key", "container/blob", "s3_bucket is empty"),
            ("s3://my bucket/key", "container/blob", "it takes the bucket's name alone"),
            (
                "s3://bucket/key",
                "https://a.blob.core.windows.net/c/b?sig=SECRET",
                "leave out everything from the question",
            ),
            ("s3://bucket/key", "https://u:SECRET@a.blob.core.windows.net/c/b", "has credentials"),
            ("s3://bucket/key", "ftp://u:SECRET@host/c/b?sig=SECRET", "it takes https://account.blob"),
            ("s3://bucket/key", "https://[SECRET?/c/b", "no valid URL"),
            ("s3://bucket/key", "https://a.blob.core.windows.net/c/b#1", "write %23"),
            ("s3://bucket/key", "https://a.blob.core.windows.net/c/%ff", "no valid URL"),
            ("s3://bucket/key", "https://a.blob.core.windows.net/", "container_name is empty"),
            ("s3://bucket/key", "Not_A_Container/b", "container_name is 'Not_A_Container'"),
            ("s3://bucket/key", "", "container_name is empty"),
            ("s3://bucket/key", "https://other.blob.core.windows.net/container/b", "leads to http://127.0.0.1"),
        ],
    )
    def test_a_place_that_cannot_be_meant_is_refused(
        self, airflow: Airflow, source: str, destination: str, message: str
    ) -> None:
        """With the exit code of a usage error; credentials in a URL are not repeated."""
        done = airflow("copy", source, destination)

        assert (done.code, done.out) == (2, "")
        assert message in " ".join(done.err.split())
        assert "SECRET" not in done.err

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--aws-conn-id", "missing", "there is no Airflow connection 'missing' (aws_conn_id)"),
            ("--aws-conn-id", "wasb_default", "are aws_conn_id and wasb_conn_id swapped?"),
            ("--wasb-conn-id", "missing", "there is no Airflow connection 'missing' (wasb_conn_id)"),
            ("--wasb-conn-id", "", "there is no Airflow connection '' (wasb_conn_id)"),
            ("--mode", "fast", "invalid choice: 'fast'"),
            ("--block-size", "1", "block_size is '1'; it takes 64 KiB"),
            ("--max-concurrency", "0", "max_concurrency is '0'; it takes at least 1"),
            ("--max-bandwidth", "fast", "max_bandwidth is 'fast'; it takes a size"),
            ("--verify", "no", "invalid choice: 'no'"),
            ("--access-tier", "Warm", "invalid choice: 'Warm'"),
            ("--archived", "restore", "invalid choice: 'restore'"),
            ("--output", "xml", "invalid choice: 'xml'"),
            ("--no-such-option", "x", "unrecognized arguments: --no-such-option"),
        ],
    )
    def test_a_value_that_an_option_does_not_take_is_refused(
        self,
        airflow: Airflow,
        bucket: Bucket,
        container: ContainerClient,
        option: str,
        value: str,
        message: str,
    ) -> None:
        """With the operators' message; nothing is written."""
        bucket.put("key", b"content")

        done = airflow("copy", f"s3://{bucket.name}/key", container.container_name, option, value)

        assert done.code == 2
        assert message in " ".join(done.err.split())
        assert list(container.list_blob_names()) == []

    def test_a_missing_container_is_created_only_on_request(
        self, airflow: Airflow, bucket: Bucket, azure_server: AzureServer
    ) -> None:
        """A misspelled name creates nothing."""
        bucket.put("key", b"content")
        name = f"new-{bucket.name}"
        arguments = ("copy", f"s3://{bucket.name}/key", f"{name}/key")

        refused, created = airflow(*arguments), airflow(*arguments, "--create-container")

        assert (refused.code, created.code) == (2, 0)
        assert f"there is no container '{name}'" in refused.err
        assert azure_server.container_client(name, create=False).download_blob("key").readall() == b"content"

    def test_guardrails_hold(
        self, airflow: Airflow, bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An administrator's limits are those of the DAGs."""
        bucket.put("key", b"content")
        monkeypatch.setenv("AIRFLOW__S3_TO_AZURE__ALLOWED_SOURCES", "s3://other/*")

        done = airflow("copy", f"s3://{bucket.name}/key", container.container_name)

        assert done.code == 2
        assert "is not allowed by [s3_to_azure] allowed_sources" in done.err
        assert list(container.list_blob_names()) == []


def test_every_option_of_a_copy_is_an_option_of_the_command() -> None:
    """An option that the operators gain is named in airflow_s3_azure/cli/definition.py too."""
    from airflow.cli.cli_parser import get_parser

    args = vars(get_parser().parse_args(["s3-azure", "copy", "s3://b/k", "c/b"]))

    own, of_syncs = {"s3_bucket", "container_name"}, {"restore_tier", "restore_days", "restore_poll_interval"}
    assert {*option_names(Endpoints, CopyOptions)} - own - of_syncs - args.keys() == set()
