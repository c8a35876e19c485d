"""An independent judge: rclone reads source and destination, byte by byte, and compares them."""

from __future__ import annotations

import random
import subprocess
import sysconfig
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag
from tests.servers.process import child_environment

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]

MIB = 1024 * 1024
NAMES = [
    "plain.txt",
    "with space",
    " lead",
    "trail ",
    "+plus+",
    "100%",
    "%41 is not A",
    "a&b=c;d?e#f",
    "'quotes\" and `ticks`",
    "{{ 6 * 7 }}",
    "{key}",
    "[brackets](and) {braces}",
    "*.*",
    "<angle>|pipe|",
    "~tilde^caret",
    "€uro, größer, ñandú",
    "composed é",
    "decomposed e\u0301",
    "漢字かな",
    "עברית",
    "🚀 rocket 👩‍👩‍👧",
    "UPPER and lower",
    "dot.in.the.middle.csv",
    ".hidden",
    "..two",
    "-rf",
    "--flag=value",
    "$HOME",
    "con",
    "x" * 200,
    "part-00000.snappy.parquet",
    "dt=2026-11-22",
    "colon:name",
]
Judgement = dict[str, set[str]]
"""Names by rclone's mark: ``=`` the same in both, ``*`` different, ``+`` only in S3, ``-`` only in Azure."""


Rclone = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def rclone(s3_server: S3Server, azure_server: AzureServer, tmp_path: Path) -> Rclone:
    """Run rclone between the remotes ``source`` and ``destination``."""
    environment = child_environment(
        RCLONE_CONFIG=str(tmp_path / "none.conf"),
        RCLONE_CONFIG_SOURCE_TYPE="s3",
        RCLONE_CONFIG_SOURCE_PROVIDER="Other",
        RCLONE_CONFIG_SOURCE_ENDPOINT=s3_server.endpoint_url,
        RCLONE_CONFIG_SOURCE_REGION=s3_server.region,
        RCLONE_CONFIG_SOURCE_ACCESS_KEY_ID=s3_server.access_key,
        RCLONE_CONFIG_SOURCE_SECRET_ACCESS_KEY=s3_server.secret_key,
        # By default rclone encodes some characters of names, differently for S3 and for Azure.
        RCLONE_CONFIG_SOURCE_ENCODING="None",
        RCLONE_CONFIG_DESTINATION_TYPE="azureblob",
        RCLONE_CONFIG_DESTINATION_ENDPOINT=azure_server.endpoint,
        RCLONE_CONFIG_DESTINATION_ACCOUNT=azure_server.account,
        RCLONE_CONFIG_DESTINATION_KEY=azure_server.key,
        RCLONE_CONFIG_DESTINATION_ENCODING="None",
    )
    program = Path(sysconfig.get_path("scripts")) / "rclone"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def judge(bucket: Bucket, container: ContainerClient, rclone: Rclone) -> Callable[[], Judgement]:
    """Have rclone compare the contents of the bucket and the container."""
    endpoints = [f"source:{bucket.name}", f"destination:{container.container_name}"]
    options = ["--download", "--fast-list", "--combined=-", "--exclude=/_s3_to_azure/**"]

    def compare() -> Judgement:
        done = rclone("check", *endpoints, *options)
        found: Judgement = defaultdict(set)
        for line in done.stdout.splitlines():
            found[line[0]].add(line[2:])
        # Exit code 0: nothing differs.
        assert (done.returncode == 0) == (set(found) == {"="}), done.stderr
        return dict(found)

    return compare


def test_rclone_finds_no_difference_after_a_sync(
    bucket: Bucket, container: ContainerClient, judge: Callable[[], Judgement]
) -> None:
    """Hundreds of objects with odd names, of several blocks or none; and a blob that was changed or lost is found."""
    chance = random.Random(7)
    folders = ["", "plain/", "odd &=+%/", "größe/é/", "a b/.c/", "deep/" * 20, "漢字/", "{{ x }}/", "100%/"]
    keys = [f"{folder}{name}" for folder in folders for name in NAMES]
    bodies = {key: chance.randbytes(chance.randrange(1, 3000)) for key in keys}
    bodies |= {"empty": b"", "large/one": chance.randbytes(3 * MIB + 17), "large/whole": chance.randbytes(2 * MIB)}
    for key, body in bodies.items():
        bucket.put(key, body)
    bucket.put_multipart("large/parts", bodies["large/one"] * 4, 5 * MIB)
    with DAG(f"judged_{container.container_name}") as dag:
        s3_to_azure_sync(
            s3_bucket=bucket.name, container_name=container.container_name, block_size=MIB, batch_objects=100, retries=0
        )

    run = run_dag(dag)
    judgement = judge()

    assert run.state == "success"
    assert judgement == {"=": {*bodies, "large/parts"}}
    assert len(judgement["="]) == 301

    container.delete_blob("plain/100%")
    container.upload_blob("too many", b"x")
    container.upload_blob("large/whole", bodies["large/whole"][:-1] + b"\0", overwrite=True)
    verdict = judge()
    assert {mark: names for mark, names in verdict.items() if mark != "="} == {
        "+": {"plain/100%"},
        "-": {"too many"},
        "*": {"large/whole"},
    }


def test_what_rclone_copied_is_adopted_and_what_differs_is_copied(
    bucket: Bucket, container: ContainerClient, rclone: Rclone, judge: Callable[[], Judgement]
) -> None:
    """A migration that rclone began is finished: equal blobs get the record, one that was damaged is replaced."""
    chance = random.Random(11)
    bodies = {f"a/{name}": chance.randbytes(chance.randrange(1, 3000)) for name in ("one", "two", "größe", "100%")}
    bodies |= {"empty": b"", "large": chance.randbytes(9 * MIB + 17)}
    for key, body in bodies.items():
        bucket.put(key, body)
    bucket.put_multipart("parts", bodies["large"] * 2, 5 * MIB)
    done = rclone("copy", f"source:{bucket.name}", f"destination:{container.container_name}")
    assert done.returncode == 0, done.stderr
    theirs = {blob.name: blob for blob in container.list_blobs(include=["metadata"])}
    damaged = bytearray(bodies["large"])
    damaged[5 * MIB] ^= 1
    container.upload_blob("large", bytes(damaged), overwrite=True)

    with DAG(f"adopted_{container.container_name}") as dag:
        s3_to_azure_sync(
            s3_bucket=bucket.name,
            container_name=container.container_name,
            compare="checksum",
            block_size=MIB,
            retries=0,
        )
    run = run_dag(dag)
    report = run.xcom("s3_to_azure.report")

    assert (run.state, report["copied"], report["unchanged"]) == ("success", 1, 6)
    assert report["bytes_read"] == len(bodies["large"])
    assert judge() == {"=": {*bodies, "parts"}}
    for name in {*bodies, "parts"} - {"large"}:
        found = container.get_blob_client(name).get_blob_properties()
        assert found.metadata["s3_source_crc64nvme"]
        assert {key: found.metadata[key] for key in theirs[name].metadata} == theirs[name].metadata
        assert found.content_settings.content_type == theirs[name].content_settings.content_type
