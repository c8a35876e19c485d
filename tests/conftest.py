"""What all tests share: a private Airflow home, the two servers, a fresh bucket and container for each test."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from packaging.version import Version

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.fakes.reading_azurite import ReadingAzurite
    from tests.fakes.restoring_s3 import RestoringS3
    from tests.faults.recorded import Recorded
    from tests.servers import AzureServer, CertificateAuthority, S3Server
    from tests.servers.s3 import S3Endpoint

# The duration of an example depends on the load of the machine.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("full")

ROOT = Path(__file__).parent.parent

_SLOW_FOLDERS = ("e2e", "ui", "faults")

needs_airflow_3_3 = pytest.mark.skipif(
    Version(version("apache-airflow")) < Version("3.3"), reason="is about what Airflow has since 3.3"
)

# Airflow reads its configuration when it is imported, so this comes before any test module.
_HOME = Path(tempfile.mkdtemp(prefix="s3-azure-tests-"))
(_HOME / "no_dags").mkdir()
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(
        [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(path)},
            }
            # The DAGs of tests belong to a bundle without files: each run parses all files of its DAG's bundle.
            for name, path in (("dags", ROOT / "dags"), ("tests", _HOME / "no_dags"))
        ]
    ),
)
for name in [name for name in os.environ if name.startswith(("AIRFLOW_CONN_", "AWS_", "AZURE_"))]:
    del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take minutes first, so that no worker is left alone with them."""
    items.sort(key=lambda item: item.path.parent.name not in _SLOW_FOLDERS)


@pytest.fixture(scope="session", autouse=True)
def botocore_descriptions() -> Iterator[None]:
    """Each new botocore session parses the description of S3 again, which costs more than most tests: keep it."""
    from botocore.loaders import JSONFileLoader

    load = cache(JSONFileLoader().load_file)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(JSONFileLoader, "load_file", lambda _, path: load(path))
        yield


class Bucket:
    """A bucket of an S3 server, made for one test."""

    def __init__(self, server: S3Endpoint, name: str) -> None:
        self.server = server
        self.name = name
        self.client = server.client()
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": server.region})

    def put(self, key: str, body: bytes, **arguments: Any) -> str:
        """Upload an object in one request; return its ETag without quotes."""
        response = self.client.put_object(Bucket=self.name, Key=key, Body=body, **arguments)
        return str(response["ETag"]).strip('"')

    def put_multipart(self, key: str, body: bytes, part_size: int, **arguments: Any) -> None:
        """Upload an object in parts of ``part_size`` bytes, as boto3's transfer manager does."""
        import io

        from boto3.s3.transfer import TransferConfig

        self.client.upload_fileobj(
            io.BytesIO(body),
            self.name,
            key,
            ExtraArgs=arguments,
            Config=TransferConfig(multipart_threshold=part_size, multipart_chunksize=part_size),
        )


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server."""
    from tests.servers import S3Server

    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A running Azurite."""
    from tests.servers import AzureServer

    with AzureServer(tmp_path_factory.mktemp("azure")) as server:
        yield server


@pytest.fixture(scope="session")
def certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """A certificate authority of this test run, for servers with TLS on this machine."""
    from tests.servers import CertificateAuthority

    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """An empty bucket."""
    return Bucket(s3_server, f"source-{secrets.token_hex(6)}")


@pytest.fixture
def container(azure_server: AzureServer) -> ContainerClient:
    """An empty container."""
    return azure_server.container_client(f"destination-{secrets.token_hex(6)}")


@pytest.fixture
def reading_azurite(azure_server: AzureServer) -> Iterator[ReadingAzurite]:
    """The running Azurite, behind a proxy of this test's own that lets it read blocks from S3."""
    from tests.fakes.reading_azurite import reading_azurite

    with reading_azurite(azure_server) as proxy:
        yield proxy


@pytest.fixture
def connections(s3_server: S3Server, azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connections ``aws_default`` and ``wasb_default``, to the two servers."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(s3_server.airflow_connection()))
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(azure_server.airflow_connection()))


@pytest.fixture
def restoring_s3(
    bucket: Bucket,
    s3_server: S3Server,
    connections: None,  # noqa: ARG001 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RestoringS3]:
    """The route of ``aws_default``, on which restores take time; triggers poll without a wait."""
    from airflow_s3_azure.operators.arguments import ARGUMENTS, Argument
    from tests.fakes.canned_server import serving
    from tests.fakes.restoring_s3 import RestoringS3

    monkeypatch.setitem(ARGUMENTS, "restore_poll_interval", Argument(lambda *_: 0, is_templated=True))
    with serving(RestoringS3(bucket, s3_server.port)) as running:
        connection = s3_server.airflow_connection()
        connection["extra"] |= {"endpoint_url": running.url, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        yield running


@pytest.fixture
def to_s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The route of ``aws_default``, on which requests are recorded."""
    from tests.faults.recorded import Recorded

    route = Recorded(s3_server.port)
    with route.proxy:
        connection = s3_server.airflow_connection()
        connection["extra"]["endpoint_url"] = route.proxy.url
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        yield route


@pytest.fixture
def to_azure(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The route of ``wasb_default``, on which requests are recorded."""
    from tests.faults.recorded import Recorded

    route = Recorded(azure_server.port)
    with route.proxy:
        connection = azure_server.airflow_connection()
        connection["host"] = f"{route.proxy.url}/{azure_server.account}"
        monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(connection))
        yield route
