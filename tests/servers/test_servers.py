"""The test servers act as the services do where this project relies on it, and leave nothing behind."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from awscrt.checksums import crc32, crc64nvme
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock, BlobSasPermissions, generate_blob_sas
from boto3.s3.transfer import TransferConfig
from botocore.client import BaseClient
from cryptography.fernet import Fernet

from tests.servers import AirflowServer, AzureServer, S3Server, ServerError
from tests.servers.airflow import airflow_environment
from tests.servers.process import ServerProcess, child_environment, free_port
from tests.servers.sessions import session_members

BODY = b"0123456789" * 100
MIB = 1024 * 1024

DAG = """
from airflow.sdk import BaseHook, dag, task


@dag(dag_id="doubling", schedule=None)
def doubling():
    @task
    def double(number):
        print(f"doubling {number}")
        return 2 * number

    @task
    def login():
        return BaseHook.get_connection("store").login

    double.expand(number=[3, 4])
    login()


doubling()
"""


STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
    pathlib.Path({ready!r}).touch()
time.sleep(60)
"""

PARENT = """
import sys, pathlib, time
from tests.servers.process import ServerProcess
directory = pathlib.Path({directory!r})
server = ServerProcess(
    "Sample", [sys.executable, "-c", "import time; time.sleep(60)"],
    directory=directory, environment={{}}, log=directory / "server.log",
)
server.start(lambda: True, within=1)
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 with a bucket `source` that holds BODY as `digits`."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        client = server.client()
        client.create_bucket(Bucket="source", CreateBucketConfiguration={"LocationConstraint": server.region})
        client.put_object(Bucket="source", Key="digits", Body=BODY)
        yield server


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A blob account with a container `target`."""
    with AzureServer(tmp_path_factory.mktemp("azure")) as server:
        server.container_client("target")
        yield server


def presigned(client: BaseClient, *, expires: int = 60, **params: Any) -> str:
    """A presigned GET of `digits`."""
    values = {"Bucket": "source", "Key": "digits", **params}
    return str(client.generate_presigned_url("get_object", Params=values, ExpiresIn=expires))


def big_endian(number: int, octets: int) -> str:
    """A checksum as S3 writes it."""
    return base64.b64encode(number.to_bytes(octets, "big")).decode()


@pytest.mark.servers
def test_a_presigned_get_returns_the_object(s3: S3Server) -> None:
    """The right signature gets the whole body."""
    response = requests.get(presigned(s3.client()), timeout=10)

    assert (response.status_code, response.content) == (200, BODY)


@pytest.mark.servers
def test_a_presigned_get_with_another_signature_is_refused(s3: S3Server) -> None:
    """One digit of the signature changed is 403."""
    url = presigned(s3.client())
    forged = url[:-1] + ("0" if url[-1] != "0" else "1")

    response = requests.get(forged, timeout=10)

    assert (response.status_code, "SignatureDoesNotMatch" in response.text) == (403, True)


@pytest.mark.servers
def test_a_presigned_get_signed_with_another_secret_is_refused(s3: S3Server, tmp_path: Path) -> None:
    """A secret that is not this server's makes no valid URL."""
    stranger = S3Server(tmp_path)
    stranger.endpoint_url = s3.endpoint_url

    response = requests.get(presigned(stranger.client()), timeout=10)

    assert (response.status_code, "SignatureDoesNotMatch" in response.text) == (403, True)


@pytest.mark.servers
def test_an_expired_presigned_get_is_refused(s3: S3Server) -> None:
    """A URL that worked is 403 once its five seconds are over."""
    url = presigned(s3.client(), expires=5)
    deadline = time.monotonic() + 60
    response = requests.get(url, timeout=10)
    assert response.status_code == 200

    while response.status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
        response = requests.get(url, timeout=10)

    assert (response.status_code, "Request has expired" in response.text) == (403, True)


@pytest.mark.servers
def test_a_range_returns_only_its_bytes(s3: S3Server) -> None:
    """A signed Range is 206 with exactly those bytes."""
    url = presigned(s3.client(), Range="bytes=5-11")

    response = requests.get(url, headers={"Range": "bytes=5-11"}, timeout=10)

    assert (response.status_code, response.content) == (206, b"5678901")
    assert response.headers["Content-Range"] == "bytes 5-11/1000"


@pytest.mark.servers
def test_another_etag_fails_the_precondition(s3: S3Server) -> None:
    """If-Match with an ETag that is not the object's is 412."""
    url = presigned(s3.client(), IfMatch='"0"')

    response = requests.get(url, headers={"If-Match": '"0"'}, timeout=10)

    assert response.status_code == 412


@pytest.mark.servers
def test_s3_stores_the_crc64nvme_of_a_put(s3: S3Server) -> None:
    """A put that names CRC64NVME is stored with that full-object checksum."""
    client = s3.client()
    client.put_object(Bucket="source", Key="crc64", Body=BODY, ChecksumAlgorithm="CRC64NVME")

    head = client.head_object(Bucket="source", Key="crc64", ChecksumMode="ENABLED")

    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (
        big_endian(crc64nvme(BODY), 8),
        "FULL_OBJECT",
    )


@pytest.mark.parametrize(
    ("arguments", "suffix", "kind"),
    [({}, "-3", "COMPOSITE"), ({"ChecksumType": "FULL_OBJECT"}, "", "FULL_OBJECT")],
    ids=["default", "full object"],
)
@pytest.mark.servers
def test_s3_stores_the_crc32_of_a_multipart_upload(
    s3: S3Server, tmp_path: Path, arguments: dict[str, str], suffix: str, kind: str
) -> None:
    """boto3's upload in parts leaves a CRC32 over the parts' CRC32s, or the whole object's if requested."""
    content = os.urandom(11 * MIB)
    (tmp_path / "large").write_bytes(content)
    parts = [content[start : start + 5 * MIB] for start in range(0, len(content), 5 * MIB)]
    checksummed = b"".join(crc32(part).to_bytes(4, "big") for part in parts) if suffix else content
    client = s3.client()
    in_parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    client.upload_file(str(tmp_path / "large"), "source", "large", ExtraArgs=arguments, Config=in_parts)

    head = client.head_object(Bucket="source", Key="large", ChecksumMode="ENABLED")

    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (big_endian(crc32(checksummed), 4) + suffix, kind)
    assert head["ETag"].endswith('-3"')


@pytest.mark.servers
def test_s3_stores_the_full_crc32_of_a_put(s3: S3Server) -> None:
    """boto3's single put leaves a full-object CRC32."""
    head = s3.client().head_object(Bucket="source", Key="digits", ChecksumMode="ENABLED")

    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (big_endian(crc32(BODY), 4), "FULL_OBJECT")


@pytest.mark.parametrize(
    ("change", "expected"), [(0, (201, None)), (1, (400, "Crc64Mismatch"))], ids=["right", "wrong"]
)
@pytest.mark.servers
def test_azure_checks_the_crc64_of_a_block(
    azure: AzureServer,
    change: int,
    expected: tuple[int, str | None],
) -> None:
    """A block is staged only if x-ms-content-crc64, little-endian, is its CRC-64/NVME."""
    token = generate_blob_sas(
        azure.account,
        "target",
        "checked",
        account_key=azure.key,
        permission=BlobSasPermissions(create=True, write=True),
        expiry=datetime.now(UTC) + timedelta(minutes=5),
    )
    checksum = base64.b64encode((crc64nvme(BODY) ^ change).to_bytes(8, "little")).decode()

    response = requests.put(
        f"{azure.endpoint}/target/checked?comp=block&blockid=MDAwMQ%3D%3D&{token}",
        data=BODY,
        headers={"x-ms-content-crc64": checksum},
        timeout=10,
    )

    assert (response.status_code, response.headers.get("x-ms-error-code")) == expected


@pytest.mark.servers
def test_azure_refuses_to_commit_over_a_blob_that_must_not_exist(azure: AzureServer) -> None:
    """A commit with If-None-Match: * on an existing blob is 409 and changes nothing."""
    blob = azure.container_client("target").get_blob_client("existing")
    blob.upload_blob(b"first")
    blob.stage_block("0001", b"second")

    with pytest.raises(HttpResponseError) as refused:
        blob.commit_block_list([BlobBlock("0001")], match_condition=MatchConditions.IfMissing)

    assert (refused.value.status_code, code(refused.value)) == (409, "BlobAlreadyExists")
    assert blob.download_blob().readall() == b"first"


@pytest.mark.servers
def test_azure_refuses_to_commit_over_another_version(azure: AzureServer) -> None:
    """A commit with the ETag of a version that was overwritten is 412 and changes nothing."""
    blob = azure.container_client("target").get_blob_client("versions")
    old = blob.upload_blob(b"first")["etag"]
    blob.upload_blob(b"second", overwrite=True)
    blob.stage_block("0001", b"third")

    with pytest.raises(HttpResponseError) as refused:
        blob.commit_block_list([BlobBlock("0001")], etag=old, match_condition=MatchConditions.IfNotModified)

    assert (refused.value.status_code, code(refused.value)) == (412, "ConditionNotMet")
    assert blob.download_blob().readall() == b"second"


@pytest.mark.servers
def test_azure_refuses_another_key(azure: AzureServer, tmp_path: Path) -> None:
    """Each server has a key of its own: another one's is 403."""
    stranger = AzureServer(tmp_path)
    stranger.endpoint = azure.endpoint

    with pytest.raises(HttpResponseError) as refused:
        stranger.service_client().get_service_properties()

    assert refused.value.status_code == 403


@pytest.mark.servers
def test_azure_keeps_blobs_over_a_new_start(tmp_path: Path) -> None:
    """A server that was stopped and started again has its blobs, on the same address."""
    server = AzureServer(tmp_path)
    with server:
        server.container_client("kept").upload_blob("digits", BODY)

    with server:
        content = server.container_client("kept", create=False).download_blob("digits").readall()

    assert content == BODY


@pytest.mark.parametrize("kind", [S3Server, AzureServer])
@pytest.mark.servers
def test_stopping_leaves_no_process_and_no_port(kind: type[S3Server | AzureServer], tmp_path: Path) -> None:
    """After the context no process of the server's session runs, and nothing listens."""
    with kind(tmp_path) as server:
        session = server.process.pid
        running = session_members(session)

    assert session in running
    assert session_members(session) == []
    assert not listening(server.port)


def test_a_server_that_dies_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    """The error names the server, its exit status, its log and its last output."""
    server = python_server("print('no licence'); raise SystemExit(3)", tmp_path)

    with pytest.raises(ServerError) as raised:
        server.start(lambda: False, within=10)

    log = tmp_path / "server.log"
    assert str(raised.value) == f"Sample ended with 3 before it was ready\nlog: {log}\n  no licence"


def test_a_server_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    """Running out of time is an error that leaves no process."""
    server = python_server("import os, time; print(os.getpid()); time.sleep(60)", tmp_path)

    with pytest.raises(ServerError, match=r"^Sample was not ready within 0\.5 s\n"):
        server.start(lambda: False, within=0.5)

    assert session_members(int((tmp_path / "server.log").read_text())) == []


def test_a_server_that_cannot_be_started_names_the_program(tmp_path: Path) -> None:
    """A missing program is a ServerError, not an OSError."""
    server = ServerProcess(
        "Sample", ["/does/not/exist"], directory=tmp_path, environment={}, log=tmp_path / "server.log"
    )

    with pytest.raises(ServerError, match=r"^Sample could not be started \(.*/does/not/exist"):
        server.start(lambda: True, within=1)


def test_stopping_kills_what_ignores_the_signal(tmp_path: Path) -> None:
    """Leader and child ignore SIGTERM, the child in a group of its own: both are gone after the grace."""
    ready = tmp_path / "ready"
    server = python_server(STUBBORN.format(ready=str(ready)), tmp_path, grace=0.2)
    server.start(ready.exists, within=10)
    session = server.pid
    running = session_members(session)

    server.stop()

    assert len(running) == 2
    assert session_members(session) == []


def test_a_server_ends_with_its_killed_parent(tmp_path: Path) -> None:
    """SIGKILL of the Python that started a server ends the server too."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(directory=str(tmp_path))],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    session = int(parent.stdout.readline())
    running = session_members(session)

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    assert running == [session]
    assert ends_within(5, session)


def test_ports_are_given_once() -> None:
    """A thousand free ports are a thousand different ones."""
    assert len({free_port() for _ in range(1000)}) == 1000


def test_servers_inherit_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own AWS, Azure and Airflow settings do not reach a server; all else does."""
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "AZURE_STORAGE_KEY",
        "AIRFLOW__CORE__PARALLELISM",
        "AIRFLOW_HOME",
        "OTHER",
    ):
        monkeypatch.setenv(name, "x")

    environment = child_environment(EXTRA="y")

    assert {name for name, value in environment.items() if value == "x"} == {"OTHER"}
    assert environment["EXTRA"] == "y"


@pytest.mark.airflow
def test_airflow_runs_a_dag(tmp_path: Path) -> None:
    """A DAG of the folder runs with the connection given, and its states, XComs and logs can be read."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "doubling.py").write_text(DAG)
    polled: list[str] = []

    with AirflowServer(tmp_path, dags, {"store": {"conn_type": "aws", "login": "me"}}) as airflow:
        session = airflow.process.pid
        airflow.wait_for_dag("doubling")
        airflow.unpause("doubling")
        run = airflow.trigger("doubling", conf={"a": 1}, logical_date=datetime(2026, 1, 2, tzinfo=UTC))
        state = airflow.wait_for_run("doubling", run, 90, on_poll=lambda seen: polled.append(seen["state"]))
        tasks = airflow.task_instances("doubling", run)
        doubled = [airflow.xcom("doubling", run, "double", map_index=index) for index in (0, 1)]
        login = airflow.xcom("doubling", run, "login")
        log = airflow.logs("doubling", run, "double", map_index=1)
        with pytest.raises(ServerError) as refused:
            airflow.api("GET", "/dags/none")

    assert (state, polled[-1]) == ("success", "success")
    assert sorted((task["task_id"], task["map_index"], task["state"]) for task in tasks) == [
        ("double", 0, "success"),
        ("double", 1, "success"),
        ("login", -1, "success"),
    ]
    assert (doubled, login) == ([6, 8], "me")
    assert '"event": "doubling 4"' in log
    assert str(refused.value) == (
        "Airflow returned 404 to GET /api/v2/dags/none: The Dag with ID: `none` was not found"
    )
    assert session_members(session) == []
    assert not listening(airflow.port)


def code(error: HttpResponseError) -> object:
    """Azure's code for an error."""
    # azure-storage-blob sets it on every error; azure-core's type does not declare it.
    return vars(error)["error_code"]


def python_server(code: str, directory: Path, grace: float = 5.0) -> ServerProcess:
    """A server that is a few lines of Python."""
    return ServerProcess(
        "Sample",
        [sys.executable, "-uc", code],
        directory=directory,
        environment=child_environment(),
        log=directory / "server.log",
        grace=grace,
    )


def listening(port: int) -> bool:
    """Whether something accepts connections on a port of 127.0.0.1."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def ends_within(seconds: float, session: int) -> bool:
    """Whether all processes of a session end in time."""
    deadline = time.monotonic() + seconds
    while session_members(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.airflow
def test_airflow_ends_when_a_part_of_it_ends(tmp_path: Path) -> None:
    """A test that waits for the part learns which one it was, at once."""
    dags = tmp_path / "dags"
    dags.mkdir()
    with AirflowServer(tmp_path, dags, {}) as airflow:
        parts = {part.cmdline()[0]: part for part in psutil.Process(airflow.process.pid).children()}
        parts["airflow triggerer"].kill()
        deadline = time.monotonic() + 30
        while airflow.process.is_running:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(ServerError) as caught:
            airflow.api("GET", "/dags")

    assert str(caught.value).startswith("Airflow does not respond to GET /dags")
    assert "airflow triggerer ended with -9, so all other parts were stopped" in str(caught.value)


def test_all_parts_of_an_airflow_have_the_same_key(tmp_path: Path) -> None:
    """One of its own making would be known to some of them only."""
    environment = airflow_environment(tmp_path, 1, "http://127.0.0.1:1", tmp_path, {}, {})

    assert Fernet(environment["AIRFLOW__CORE__FERNET_KEY"])
