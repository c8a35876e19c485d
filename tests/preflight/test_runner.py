"""The checks against LocalStack and Azurite, and against faults that these do not produce."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.errors import Cancelled, ConfigurationError, PreflightFailed
from airflow_s3_azure.engine.http.message import Headers
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.preflight import runner
from airflow_s3_azure.preflight.catalog import CHECKS, NAMES
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.destination_checks import ACCOUNT
from airflow_s3_azure.preflight.finding import CONTAINERS, Finding, green
from airflow_s3_azure.preflight.subject import MAX_REQUESTS, MAX_SENT, Subject
from airflow_s3_azure.provider_info import SECTION
from tests.faults.http1 import Request
from tests.faults.proxy import Refuse
from tests.preflight.conftest import KEY, PREFIX, Preflight

if TYPE_CHECKING:
    from tests.fakes.reading_azurite import ReadingAzurite

pytestmark = pytest.mark.servers

EMULATED = {
    "s3-tls": "amber",  # plain HTTP
    "azure-tls": "amber",
    "azure-put": "amber",  # Azurite returns no CRC-64 of a Put Blob
    "azure-metadata": "amber",  # Azurite changes a Content-Disposition that is not ASCII
    "server-side": "amber",  # Azurite reads from itself only
}
"""What is not green between the emulators."""


def _matches(method: str, *, has_key: bool, **query: str | None) -> Callable[[Request], bool]:
    def matches(request: Request) -> bool:
        # /bucket/key, or /account/container/blob
        segments = request.path.strip("/").split("/")
        names = segments[1:] if segments[0] != "devstoreaccount1" else segments[2:]
        found = {name: request.query.get(name) for name in query}
        return (request.method, bool(names), found) == (method, has_key, query)

    return matches


def _statuses(results: dict[str, Any]) -> dict[str, str]:
    return {name: one.status for name, one in results.items()}


@pytest.mark.parametrize("scheme", ["http", "https"], indirect=True)
def test_what_a_copy_assumes_is_proven_on_the_emulators(preflight: Preflight, scheme: str) -> None:
    """Over plain HTTP and over TLS: every check runs, within its limits, and nothing of it stays."""
    report = preflight.report(write_source=True)

    found = {one.name: one.status for one in report.results}
    expected = {name: EMULATED.get(name, "green") for name in NAMES}
    if scheme == "https":
        expected |= {"s3-tls": "green", "azure-tls": "green"}
    assert found == expected
    assert (report.status, report.left, preflight.blobs(), preflight.objects()) == ("amber", (), [], [KEY])
    assert 8 * 2**20 < report.bytes_sent <= MAX_SENT
    assert report.requests <= 80
    report.raise_failures()
    json.dumps(report.as_json())


def test_each_check_says_what_it_found(preflight: Preflight) -> None:
    """The texts that a reader compares with an account of their own."""
    results = preflight.results(write_source=True)

    assert results["s3-head"].detail == f"{KEY!r}: 97.7 KiB, checksum CRC64NVME:m0nypWpUsto="
    assert results["s3-range"].detail == "64.0 KiB: 206 with the object's ETag, 412 with another one"
    assert results["azure-account"].detail == "StorageV2, Standard_RAGRS, flat namespace"
    assert results["azure-wrong-crc"].detail == "400 Crc64Mismatch"
    assert results["azure-create-only"].detail == "409 BlobAlreadyExists"
    assert results["azure-block-id-length"].detail == "400 InvalidBlobOrBlock"
    assert results["azure-commits"].detail == (
        "an unknown block: 400 InvalidBlockList; If-None-Match: *: 409 BlobAlreadyExists; an old If-Match: 412 "
        "ConditionNotMet; the current If-Match: 201"
    )
    assert results["azure-tiers"].detail == "Cool was overwritten; Archive was not: 409 BlobArchived"
    assert results["idle-connections"].detail == "after 0 s: S3 reused, Azure reused"


def test_a_rejected_block_is_read_over_tls(preflight: Preflight) -> None:
    """Azurite reads the whole block; Azure may reject it while it is sent."""
    preflight.azure.strike(
        Refuse(400, "InvalidQueryParameterValue", early=True),
        lambda request: request.body_size == 8 * 2**20,
    )

    result = preflight.results(skip=["s3-key"])["azure-rejected-block"]

    assert (result.status, result.detail) == ("green", "400 InvalidQueryParameterValue was read, over plain HTTP")


DENIED = [
    ("s3", _matches("GET", has_key=False, **{"list-type": "2"}), "s3-list", "red", "s3:ListBucket"),
    ("s3", _matches("HEAD", has_key=True), "s3-head", "red", "s3:GetObject"),
    ("s3", lambda request: "range" in request.headers, "s3-range", "red", "s3:GetObject"),
    (
        "azure",
        _matches("GET", has_key=False, comp="properties"),
        "azure-account",
        "amber",
        "Microsoft.Storage/storageAccounts/blobServices/getInfo/action",
    ),
    ("azure", _matches("GET", has_key=False, comp="list"), "azure-list", "red", f"{CONTAINERS}/blobs/read"),
    ("azure", _matches("PUT", has_key=True, comp=None), "azure-put", "red", f"{CONTAINERS}/blobs/write"),
    (
        "azure",
        _matches("PUT", has_key=True, comp="block"),
        "azure-concurrent-blocks",
        "red",
        f"{CONTAINERS}/blobs/write",
    ),
    ("azure", _matches("PUT", has_key=True, comp="blocklist"), "azure-commits", "red", f"{CONTAINERS}/blobs/write"),
    ("azure", _matches("DELETE", has_key=True), "azure-delete", "amber", f"{CONTAINERS}/blobs/delete"),
    ("azure", lambda request: "x-ms-tags" in request.headers, "azure-tags", "amber", f"{CONTAINERS}/blobs/tags/write"),
]


@pytest.mark.parametrize(("service", "matches", "name", "status", "action"), DENIED, ids=[one[2] for one in DENIED])
def test_a_missing_permission_is_named_with_its_policy_line_and_the_request(
    preflight: Preflight, service: str, matches: Callable[[Request], bool], name: str, status: str, action: str
) -> None:
    """Of each action that a copy needs, and of those that only an option needs."""
    code, header = {
        "s3": ("AccessDenied", "x-amz-request-id"),
        "azure": ("AuthorizationPermissionMismatch", "x-ms-request-id"),
    }[service]
    proxy = preflight.s3 if service == "s3" else preflight.azure
    proxy.strike(Refuse(403, code, headers=((header, "REQUEST-7"),)), matches, times=None)

    result = preflight.results()[name]

    assert (result.status, result.action, result.request_id) == (status, action, "REQUEST-7")
    assert action in result.policy
    assert (result.policy.startswith('{"Effect": "Allow"'), bool(result.remedy)) == (service == "s3", status == "red")
    assert bool(result.consequence) == (status == "amber")


def test_without_the_right_to_delete_one_small_blob_is_left_and_named(preflight: Preflight) -> None:
    """The checks that would leave more are not run."""
    preflight.azure.strike(
        Refuse(403, "AuthorizationPermissionMismatch"), lambda one: one.method == "DELETE", times=None
    )

    report = preflight.report()

    results = {one.name: one for one in report.results}
    assert results["azure-tiers"].status == results["azure-names"].status == "skipped"
    assert results["azure-commits"].status == "green"
    assert list(report.left) == preflight.blobs()
    assert len(report.left) == 1


def test_a_clock_that_is_wrong_is_named(preflight: Preflight) -> None:
    """S3 refuses every request with RequestTimeTooSkewed; the difference is that of its Date."""
    theirs = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    preflight.s3.strike(
        Refuse(403, "RequestTimeTooSkewed", headers=(("Date", theirs), ("x-amz-request-id", "REQUEST-8"))),
        lambda _: True,
        times=None,
    )

    results = preflight.results()

    clock = results["s3-clock"]
    assert clock.status == "red"
    assert clock.detail.startswith("the clock of this worker is 1,2")
    assert clock.detail.endswith("s ahead of S3's; S3 rejects requests that are more than 15 minutes off")
    assert (clock.remedy, clock.request_id) == ("synchronize the clock of this worker (NTP)", "REQUEST-8")
    assert (results["s3-list"].status, results["azure-clock"].status) == ("red", "green")
    assert "S3 and this worker disagree about the time" in results["s3-list"].detail


@pytest.mark.parametrize("scheme", ["https"], indirect=True)
def test_a_certificate_that_is_not_trusted_is_named(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both hosts; what needs them is not run."""
    for name, setting in (("AWS", "verify"), ("WASB", "connection_verify")):
        connection = json.loads(os.environ[f"AIRFLOW_CONN_{name}_DEFAULT"])
        del connection["extra"][setting]
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("airflow_s3_azure.connections.wasb.CHECK_RETRY", RetryPolicy(attempts=1))

    results = preflight.results()

    assert [name for name, one in results.items() if one.status == "red"] == ["s3-tls", "azure-connection"]
    assert all("TLS certificate not accepted" in results[name].detail for name in ("s3-tls", "azure-connection"))
    assert results["s3-list"].detail == "it needs s3-tls"
    assert results["azure-put"].detail == "it needs azure-connection"
    with pytest.raises(PreflightFailed, match="2 of 28 checks are red"):
        preflight.report().raise_failures()


def test_a_hierarchical_namespace_is_named_with_its_consequence(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azurite has flat namespaces only; the headers are those of Get Account Information."""
    properties = BlobContainer.properties

    def of_account(self: BlobContainer, query: dict[str, str]) -> Headers:
        found = properties(self, query)
        return Headers.from_lower_case({**found, "x-ms-is-hns-enabled": "true"}) if query == ACCOUNT else found

    monkeypatch.setattr(BlobContainer, "properties", of_account)
    preflight.azure.strike(Refuse(409, "PathConflict"), lambda request: request.path.endswith("/name/below"))

    results = preflight.results()

    assert results["azure-account"].status == results["azure-names"].status == "amber"
    assert "hierarchical namespace" in results["azure-account"].detail
    assert "409 PathConflict" in results["azure-names"].detail
    assert preflight.blobs() == []


@pytest.mark.parametrize("header", ["x-ms-has-immutability-policy", "x-ms-has-legal-hold"])
def test_a_policy_that_would_keep_the_blobs_keeps_the_preflight_from_writing(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    """Azurite has no such policies; the headers are those of Get Container Properties."""
    monkeypatch.setattr(BlobContainer, "properties", lambda *_: Headers.from_lower_case({header: "true"}))
    # Two requests less than usual: nothing is recorded of the patched ones.
    monkeypatch.setattr("airflow_s3_azure.preflight.destination_checks.tls", lambda *_: green("patched"))

    report = preflight.report()

    statuses = {one.name: one.status for one in report.results}
    assert statuses["azure-container"] == "amber"
    assert {statuses[name] for name in ("azure-put", "azure-commits", "azure-tiers")} == {"skipped"}
    assert report.bytes_sent == 0


def test_server_side_copy_is_proven_where_azure_reaches_s3(
    preflight: Preflight, reading_azurite: ReadingAzurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without a condition on the source; a range, never the whole object."""
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(reading_azurite.airflow_connection()))

    both = preflight.results(skip=["idle-connections"])["server-side"]
    reading_azurite.unsupported = "x-ms-source-if-match"
    one = preflight.results()["server-side"]

    assert (both.status, both.detail) == (
        "green",
        "Azure read 4,096 bytes with a CRC-64, with and without a condition on the source's ETag",
    )
    assert one.status == "amber"
    assert "takes no condition on the source's ETag" in one.detail
    assert {read["x-ms-source-range"] for read in reading_azurite.reads} == {"bytes=0-4095"}


def test_guardrails_are_shown_and_obeyed(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not allowed is not requested."""
    monkeypatch.setenv(f"AIRFLOW__{SECTION.upper()}__ALLOW_SERVER_SIDE_COPY", "False")
    monkeypatch.setenv(f"AIRFLOW__{SECTION.upper()}__ALLOWED_SOURCES", "s3://other/*")

    report = preflight.report()

    results = {one.name: one for one in report.results}
    assert report.guardrails == {"allowed_sources": ["s3://other/*"], "allow_server_side_copy": False}
    assert results["s3-connection"].status == "red"
    assert "is not allowed by [s3_to_azure] allowed_sources" in results["s3-connection"].detail
    assert results["server-side"].detail == "the guardrails allow no server-side copy"
    assert preflight.s3.requests == 0


def test_an_empty_prefix_is_amber_and_its_reads_are_not_run(preflight: Preflight) -> None:
    """The rest is proven all the same."""
    results = preflight.results(s3_prefix="empty/")

    assert results["s3-list"].status == "amber"
    assert "give s3_key" in results["s3-list"].consequence
    assert results["s3-head"].status == results["s3-range"].status == results["server-side"].status == "skipped"
    assert results["azure-commits"].status == "green"


def test_the_given_key_is_read(preflight: Preflight) -> None:
    """A key that is not on the first page, and that libraries quote in different ways."""
    key = f"{PREFIX}a+b ~%2F//\U0001f600"
    preflight.bucket.put(key, b"content")

    results = preflight.results(s3_key=key)

    assert (results["s3-head"].status, results["s3-key"].status) == ("green", "green")
    assert results["s3-key"].detail == f"the given key {key!r} was read"


def test_a_plain_key_proves_nothing_of_difficult_ones(preflight: Preflight) -> None:
    """Its check is skipped, with how to run it."""
    result = preflight.results(s3_key=KEY, skip=["azure-rejected-block"])["s3-key"]

    assert (result.status, result.detail) == (
        "skipped",
        "it would write to the bucket: set write_source, or give s3_key with such characters",
    )


@pytest.mark.parametrize(
    ("method", "detail", "keys"),
    [("PUT", "the object could not be written", 1), ("DELETE", "but not deleted", 2)],
)
def test_a_bucket_that_may_not_be_written_is_amber(preflight: Preflight, method: str, detail: str, keys: int) -> None:
    """An object that stays is named."""
    preflight.s3.strike(Refuse(403, "AccessDenied"), lambda request: request.method == method, times=None)

    result = preflight.results(write_source=True, skip=["azure-rejected-block"])["s3-key"]

    assert (result.status, detail in result.detail, len(preflight.objects())) == ("amber", True, keys)
    assert method == "PUT" or repr(next(key for key in preflight.objects() if key != KEY)) in result.detail


def test_blobs_are_removed_when_the_run_is_cancelled(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two checks, after blobs and blocks were written."""
    checks = [one for one in CHECKS if one.name != "azure-tags"]
    place = next(number for number, one in enumerate(checks) if one.name == "azure-commits")

    def kill(subject: Subject) -> Finding:
        subject.cancellation.set("killed")
        return green("killed")

    cancel = Check("cancel", "Azure", "nothing", kill)
    monkeypatch.setattr(runner, "CHECKS", [*checks[:place], cancel, *checks[place:]])

    with pytest.raises(Cancelled, match="killed"):
        preflight.report()

    assert preflight.azure.bytes_to_server > 8 * 2**20
    assert preflight.blobs() == []


def test_a_check_that_breaks_does_not_stop_the_others(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is red, and blobs are removed."""

    def broken(_: object) -> Any:
        raise KeyError("bug")

    monkeypatch.setattr(runner, "CHECKS", [*CHECKS, Check("broken", "Azure", "nothing", broken)])

    results = preflight.results()

    assert (results["broken"].status, results["broken"].detail) == ("red", "the check itself failed: KeyError")
    assert results["azure-commits"].status == "green"
    assert preflight.blobs() == []


def test_the_limit_of_requests_ends_the_preflight(preflight: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is not run, and blobs are removed."""
    monkeypatch.setattr("airflow_s3_azure.preflight.subject.MAX_REQUESTS", 8)

    results = preflight.results()

    assert results["idle-connections"].detail == "the limit of requests or bytes of a preflight is used up"
    assert preflight.blobs() == []
    assert MAX_REQUESTS > 100


def test_a_check_that_does_not_exist_cannot_be_skipped(preflight: Preflight) -> None:
    """The error lists those that exist."""
    with pytest.raises(
        ConfigurationError, match="skip names 'azure-pu', which is no check of the preflight; it has s3-c"
    ):
        preflight.report(skip=["azure-pu"])


def test_a_missing_connection_is_red_and_the_other_service_is_checked(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either may be set up first."""
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")

    results = preflight.results()

    assert results["s3-connection"].status == "red"
    assert "there is no Airflow connection 'aws_default'" in results["s3-connection"].detail
    assert (results["s3-list"].detail, results["azure-commits"].status) == ("it needs s3-connection", "green")
