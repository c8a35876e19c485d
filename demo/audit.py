"""The audit at the end: one bit of a blob is flipped behind the package's back, and only reading the blob can find it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from azure.storage.blob import BlobProperties, ContainerClient, ContentSettings

from demo.nightly import RunFailed
from tests.servers import AirflowServer

DAG_ID = "s3_to_azure_audit"

_POLL_SECONDS = 0.5


@contextmanager
def flipped_bit(container: ContainerClient, name: str) -> Iterator[None]:
    """Flip a bit of a blob, whose size, metadata and properties stay; flip it back at the end."""
    blob = container.get_blob_client(name)
    before = blob.get_blob_properties()
    # As it is stored: not decompressed.
    content = bytes(blob.download_blob(decompress=False).readall())
    blob.upload_blob(bytes([content[0] ^ 1]) + content[1:], overwrite=True, **_properties(before))
    try:
        yield
    finally:
        blob.upload_blob(content, overwrite=True, **_properties(before))


def _properties(blob: BlobProperties) -> dict[str, Any]:
    settings: ContentSettings = blob.content_settings
    settings.content_md5 = None  # of other bytes
    return {"metadata": blob.metadata, "content_settings": settings}


def audit(airflow: AirflowServer, container: str, within: float, check: Callable[[], None]) -> dict[str, Any]:
    """Run a deep audit of a container by the records on its blobs, and return its totals, also if it is red.

    :param check: called at each poll; raises if the run can no longer succeed
    :raises RunFailed: if it returned no totals, or takes longer than `within` seconds
    """
    conf = {"container_name": container, "compare_with": "records", "deep": True}
    run = airflow.trigger(DAG_ID, conf, datetime.now(UTC))
    deadline = time.monotonic() + within
    state = ""
    while state not in ("success", "failed"):
        if time.monotonic() > deadline:
            raise RunFailed(f"the audit is still {state} after {within:.0f} s")
        time.sleep(_POLL_SECONDS)
        check()
        state = str(airflow.api("GET", f"/dags/{DAG_ID}/dagRuns/{run.replace('+', '%2B')}")["state"])
    totals = airflow.xcom(DAG_ID, run, "audit")
    if not isinstance(totals, dict):
        raise RunFailed(f"the audit has no totals; end of its log:\n{airflow.logs(DAG_ID, run, 'audit')[-2000:]}")
    return totals
