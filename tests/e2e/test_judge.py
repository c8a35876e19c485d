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


@pytest.fixture
def judge(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, azure_server: AzureServer, tmp_path: Path
) -> Callable[[], Judgement]:
    """Have rclone compare the contents of the bucket and the container."""
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
    endpoints = [f"source:{bucket.name}", f"destination:{container.container_name}"]
    options = ["--download", "--fast-list", "--combined=-", "--exclude=/_s3_to_azure/**"]

    def compare() -> Judgement:
        done = subprocess.run(
            [program, "check", *endpoints, *options], env=environment, capture_output=True, text=True, check=False
        )
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
