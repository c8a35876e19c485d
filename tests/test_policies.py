"""The policies of docs/policies: they are well formed, and allow what is sent to both clouds, and nothing else.

Proxies before the S3 server and Azurite record the requests. The action that each needs is documented by the vendors:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html, and for Azure
https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.connections.preflight_run import run_checks
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.operators import S3ToAzureAuditOperator
from airflow_s3_azure.preflight import feature_checks
from airflow_s3_azure.preflight.preflight_options import PreflightOptions
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag
from tests.faults.proxy import Refuse

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.faults.http1 import Request
    from tests.faults.recorded import Recorded
    from tests.servers import AzureServer

POLICIES = Path(__file__).parent.parent / "docs" / "policies"
CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
MIB = 1024 * 1024


def _aws_actions(request: Request) -> set[str]:
    """Return what a request by path (/bucket/key) needs."""
    _, _, key = request.path.lstrip("/").partition("/")
    version = "Version" if "versionId" in request.query else ""
    match request.method, bool(key), "tagging" in request.query:
        case ("HEAD", False, False) | ("GET", False, False):
            return {"s3:ListBucket"}
        case (("HEAD" | "GET"), True, False):
            return {f"s3:GetObject{version}"}
        case "GET", True, True:
            return {f"s3:GetObject{version}Tagging"}
    raise AssertionError(f"an unexpected request: {request.method} {request.path} {request.query}")


def _azure_actions(request: Request) -> set[str]:
    """Return what a request by path (/account/container/blob) needs."""
    _, _, blob = request.path.lstrip("/").split("/", 1)[1].partition("/")
    match request.method, bool(blob), request.query.get("comp"):
        case (("GET" | "HEAD"), False, None):
            return {f"{CONTAINERS}/read"}
        case "GET", False, "properties":
            return set()  # the kind of the account; a plan goes on without it if it may not be read
        case "PUT", False, None:
            return {f"{CONTAINERS}/write"}
        case ("GET", False, "list") | (("GET" | "HEAD"), True, None | "blocklist"):
            return {f"{CONTAINERS}/blobs/read"}
        case "PUT", True, None | "block" | "blocklist":
            tagged = {f"{CONTAINERS}/blobs/tags/write"} if "x-ms-tags" in request.headers else set()
            return {f"{CONTAINERS}/blobs/write"} | tagged
        case "DELETE", True, None:
            return {f"{CONTAINERS}/blobs/delete"}
    raise AssertionError(f"an unexpected request: {request.method} {request.path} {request.query}")


def _allowed_by_aws(name: str) -> set[str]:
    policy = json.loads((POLICIES / name).read_text())
    actions = [one["Action"] for one in policy["Statement"]]
    return {action for one in actions for action in ([one] if isinstance(one, str) else one)}


def _allowed_by_azure(name: str) -> set[str]:
    role = json.loads((POLICIES / name).read_text())
    return {*role["Actions"], *role["DataActions"]}


def _sync(bucket: Bucket, container: str, **arguments: Any) -> None:
    with DAG(f"policy_{container}") as dag:
        s3_to_azure_sync(
            s3_bucket=bucket.name, s3_prefix="in/", container_name=container, block_size=MIB, retries=0, **arguments
        )
    assert run_dag(dag).state == "success"


def _fill(bucket: Bucket) -> None:
    """Put objects for every kind of read: whole, in blocks, in parts with a composite checksum, of a version."""
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    bucket.put("in/small", b"x", Tagging="a=b")
    bucket.put("in/large", random.Random(1).randbytes(3 * MIB), ChecksumAlgorithm="CRC64NVME", Tagging="a=b")
    bucket.put_multipart("in/parts", random.Random(2).randbytes(12 * MIB), 5 * MIB, ChecksumAlgorithm="CRC32C")


def _needed(route: Recorded, actions: Any) -> set[str]:
    return {action for request in route.requests for action in actions(request)}


@pytest.mark.servers
@pytest.mark.airflow
def test_a_sync_needs_what_the_small_policies_allow(
    bucket: Bucket, container: ContainerClient, to_s3: Recorded, to_azure: Recorded
) -> None:
    """Without further options; twice, because the second run compares with blobs."""
    _fill(bucket)

    for _ in range(2):
        _sync(bucket, container.container_name)
        bucket.put("in/small", b"y")

    assert _needed(to_s3, _aws_actions) == _allowed_by_aws("aws-read.json")
    assert _needed(to_azure, _azure_actions) == _allowed_by_azure("azure-write.json")


@pytest.mark.servers
@pytest.mark.airflow
def test_a_sync_with_every_option_needs_what_the_large_policies_allow(
    bucket: Bucket, azure_server: AzureServer, to_s3: Recorded, to_azure: Recorded
) -> None:
    """It creates the container, copies tags, drops another tool's blocks, and deletes blobs, also to replace them."""
    _fill(bucket)
    name = f"created-{bucket.name.rpartition('-')[2]}"
    options: dict[str, Any] = {"create_container": True, "copy_tags": True, "discard_foreign_blocks": True}

    _sync(bucket, name, **options)
    client = azure_server.service_client().get_container_client(name)
    client.delete_blob("in/large")
    client.get_blob_client("in/large").stage_block("another tool's", b"x")
    bucket.client.delete_object(Bucket=bucket.name, Key="in/small")
    archived = client.get_blob_client("in/parts")
    archived.upload_blob(b"old", overwrite=True, standard_blob_tier=StandardBlobTier.ARCHIVE)
    options["overwrite_archived"] = True
    _sync(bucket, name, delete="extra", approve_delete=False, max_delete=2, **options)

    assert [blob.name for blob in client.list_blobs("in/")] == ["in/large", "in/parts"]
    assert _needed(to_s3, _aws_actions) == _allowed_by_aws("aws-read-with-tags.json")
    assert _needed(to_azure, _azure_actions) == _allowed_by_azure("azure-write-and-all-else.json")


@pytest.mark.servers
@pytest.mark.airflow
def test_a_preflight_with_the_small_policies_finds_nothing_red(
    bucket: Bucket, container: ContainerClient, to_s3: Recorded, to_azure: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both services refuse all that the policies do not allow; the one blob that stays is named."""
    monkeypatch.setattr(feature_checks, "IDLE_SECONDS", (0.0,))
    bucket.put("exports/key", b"content")
    for_s3, for_azure = _allowed_by_aws("aws-read.json"), _allowed_by_azure("azure-write.json")

    def is_refused_by_s3(request: Request) -> bool:
        has_prefix = "prefix" in request.query or request.path.count("/") > 1
        return not (has_prefix and _aws_actions(request) <= for_s3)

    def is_refused_by_azure(request: Request) -> bool:
        return request.query.get("comp") == "properties" or not _azure_actions(request) <= for_azure

    to_s3.proxy.strike(Refuse(403, "AccessDenied"), is_refused_by_s3, times=None)
    to_azure.proxy.strike(Refuse(403, "AuthorizationPermissionMismatch"), is_refused_by_azure, times=None)

    endpoints = Endpoints(bucket.name, str(container.container_name))
    report = run_checks(endpoints, PreflightOptions(s3_prefix="exports/"), Cancellation())

    statuses = {one.name: one.status for one in report.results}
    assert [name for name, status in statuses.items() if status == "red"] == []
    assert statuses["s3-bucket"] == statuses["s3-range"] == statuses["azure-commits"] == "green"
    assert statuses["azure-delete"] == statuses["azure-tags"] == statuses["azure-account"] == "amber"
    assert list(report.left) == list(container.list_blob_names())


@pytest.mark.servers
@pytest.mark.airflow
def test_an_audit_needs_what_its_policy_allows(
    bucket: Bucket, container: ContainerClient, to_s3: Recorded, to_azure: Recorded
) -> None:
    """It writes below the folder of records only, and sends nothing to S3."""
    _fill(bucket)
    _sync(bucket, container.container_name)
    to_s3.requests.clear()
    to_azure.requests.clear()
    with DAG(f"audit_policy_{container.container_name}") as dag:
        S3ToAzureAuditOperator(task_id="audit", container_name=container.container_name, deep=True)

    assert run_dag(dag).state == "success"

    assert to_s3.requests == []
    # An external sort deletes its segments where it may.
    assert _needed(to_azure, _azure_actions) == _allowed_by_azure("azure-audit.json")
    written = [request.path for request in to_azure.requests if request.method == "PUT"]
    assert written
    assert all("/_s3_to_azure/" in path for path in written)


def test_the_condition_of_an_audit_limits_its_writes() -> None:
    """To the folder of records; its brackets are closed."""
    condition = (POLICIES / "azure-audit-condition.txt").read_text()

    assert re.findall(r"ActionMatches\{'([^']+)'\}", condition) == [f"{CONTAINERS}/blobs/write"]
    assert condition.count("(") == condition.count(")")
    assert "blobs:path] StringLike '_s3_to_azure/*'" in condition


@pytest.mark.parametrize("name", ["aws-read.json", "aws-read-with-tags.json"])
def test_an_iam_policy_is_well_formed(name: str) -> None:
    """By the policy grammar: a version, and statements on a named bucket or its objects."""
    policy = json.loads((POLICIES / name).read_text())

    assert set(policy) == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert statement["Effect"] == "Allow"
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        is_about_objects = all("Object" in action for action in actions)
        assert re.fullmatch(r"arn:aws:s3:::[a-z-]+" + (r"/.+" if is_about_objects else ""), statement["Resource"])
        assert not any("*" in action for action in actions)


@pytest.mark.parametrize("name", ["azure-audit.json", "azure-write.json", "azure-write-and-all-else.json"])
def test_an_azure_role_is_well_formed(name: str) -> None:
    """As `az role definition create` takes it; what concerns blobs are data actions, what concerns containers not."""
    role = json.loads((POLICIES / name).read_text())

    assert role.keys() >= {"Name", "IsCustom", "Description", "Actions", "DataActions", "AssignableScopes"}
    assert all(action.startswith(f"{CONTAINERS}/blobs/") for action in role["DataActions"])
    assert all(re.fullmatch(f"{CONTAINERS}/(read|write)", action) for action in role["Actions"])


def test_the_condition_names_every_action_on_blobs() -> None:
    """An action that a condition does not name is not limited by it; and its brackets are closed."""
    condition = (POLICIES / "azure-condition.txt").read_text()
    named = set(re.findall(r"ActionMatches\{'([^']+)'\}", condition))

    assert named == {one for one in _allowed_by_azure("azure-write-and-all-else.json") if "/blobs/" in one}
    assert condition.count("(") == condition.count(")")
    assert "containers:name] StringEquals 'landing'" in condition


def test_a_restore_needs_one_more_permission() -> None:
    """That of the request which starts it."""
    assert _allowed_by_aws("aws-read-and-restore.json") == {*_allowed_by_aws("aws-read.json"), "s3:RestoreObject"}
