"""What an administrator allows, checked by every operator before anything moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from azure.storage.blob import StandardBlobTier
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.provider_info import SECTION, get_provider_info
from tests.airflow_runs import run_dag
from tests.sync_group.conftest import logged, sync  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from tests.sync_group.nights import Sync

pytestmark = pytest.mark.airflow

URL = "https://acme.blob.core.windows.net/landing"


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set keys of the section in Airflow's configuration."""

    def setting(**values: Any) -> None:
        for key, value in values.items():
            monkeypatch.setenv(f"AIRFLOW__{SECTION.upper()}__{key.upper()}", str(value))

    return setting


def _allows_source(patterns: str, key: str, *, is_prefix: bool, configure: Callable[..., None]) -> bool:
    configure(allowed_sources=patterns)
    try:
        Guardrails.configured().check_source("acme", key, is_prefix=is_prefix)
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize(
    ("patterns", "prefix", "is_allowed"),
    [
        ("", "", True),
        ("s3://acme", "", True),
        ("s3://acme/*", "a/b", True),
        ("s3://*", "a", True),
        ("*", "a", True),
        ("s3://other, s3://acme/", "a", True),
        ("s3://other\ns3://acme/a/", "a/b", True),
        ("s3://acme/a/", "a/", True),
        ("s3://acme/a/", "a", False),  # selects ab/ too
        ("s3://acme/a/", "", False),
        ("s3://acme/a/*.csv", "a/", False),
        ("s3://acme/a", "a", False),
        ("s3://acme-exports/*", "", False),
        ("s3://acm", "", False),
        ("s3://[a]cme", "", False),
    ],
)
def test_a_prefix_is_allowed_if_all_keys_under_it_are(
    configure: Callable[..., None], patterns: str, prefix: str, is_allowed: bool
) -> None:
    """A pattern that allows some of them allows none."""
    assert _allows_source(patterns, prefix, is_prefix=True, configure=configure) == is_allowed


@pytest.mark.parametrize(
    ("patterns", "key", "is_allowed"),
    [
        ("s3://acme/a", "a", True),
        ("s3://acme/a", "ab", False),
        ("s3://acme/a/*.csv", "a/b/c.csv", True),
        ("s3://acme/a/*.csv", "a/b/c.txt", False),
        ("s3://acme/a?", "ab", True),
        ("s3://ACME/a", "a", False),
    ],
)
def test_a_key_is_allowed_if_a_pattern_matches_it(
    configure: Callable[..., None], patterns: str, key: str, is_allowed: bool
) -> None:
    """Case counts, as it does in S3."""
    assert _allows_source(patterns, key, is_prefix=False, configure=configure) == is_allowed


@given(prefix=st.text(), rest=st.text(), pattern=st.text("*?a/", max_size=6))
def test_an_allowed_prefix_holds_no_key_that_is_not_allowed(prefix: str, rest: str, pattern: str) -> None:
    """For any pattern, and any text after the prefix."""
    guardrails = Guardrails(allowed_sources=(f"s3://acme/{pattern}",))
    try:
        guardrails.check_source("acme", prefix, is_prefix=True)
    except ConfigurationError:
        return

    if "?" not in pattern:
        guardrails.check_source("acme", prefix + rest, is_prefix=False)


@pytest.mark.parametrize(
    ("patterns", "blob", "is_allowed"),
    [
        (URL, "a/", True),
        ("https://*/landing/*", "a/", True),
        (f"{URL}/raw/", "raw/a", True),
        (f"{URL}/raw/", "raw", False),
        ("wasb_default/landing", "a", True),
        ("wasb_default/landing/raw/", "raw/", True),
        ("wasb_default/landing/raw/", "", False),
        ("wasb_other/landing", "a", False),
        ("https://other.blob.core.windows.net/landing", "a", False),
    ],
)
def test_a_destination_is_allowed_by_its_url_or_its_connection(
    configure: Callable[..., None], patterns: str, blob: str, is_allowed: bool
) -> None:
    """Either is enough."""
    configure(allowed_destinations=patterns)
    guardrails = Guardrails.configured()

    if is_allowed:
        guardrails.check_container("wasb_default", URL)
        guardrails.check_destination("wasb_default", URL, blob, is_prefix=True)
    else:
        with pytest.raises(ConfigurationError, match=r"is not allowed by \[s3_to_azure\] allowed_destinations"):
            guardrails.check_destination("wasb_default", URL, blob, is_prefix=True)


@pytest.mark.parametrize(
    ("key", "value"), [("max_bytes_per_run", "much"), ("max_objects_per_run", "1.5"), ("allow_delete", "maybe")]
)
def test_a_wrong_guardrail_stops_everything(configure: Callable[..., None], key: str, value: str) -> None:
    """It is named, and not taken for none."""
    configure(**{key: value})

    with pytest.raises(ConfigurationError, match=rf"\[s3_to_azure\] {key} is '{value}'"):
        Guardrails.configured()


def test_airflow_lists_each_guardrail_with_its_default() -> None:
    """`airflow config list` shows the providers' descriptions."""
    options = get_provider_info()["config"][SECTION]["options"]

    assert options.keys() == set(Guardrails.__slots__)
    assert Guardrails.configured() == Guardrails()


RULES = [
    ({"allowed_sources": "s3://other"}, {}, "is not allowed by [s3_to_azure] allowed_sources, which is 's3://other/*'"),
    ({"allowed_sources": "s3://{bucket}/in/"}, {"s3_prefix": "i"}, "is not allowed by [s3_to_azure] allowed_sources"),
    ({"allowed_destinations": "wasb_other/*"}, {}, "is not allowed by [s3_to_azure] allowed_destinations"),
    (
        {"allowed_destinations": "wasb_default/{container}/raw/"},
        {"blob_prefix": "other/"},
        "is not allowed by [s3_to_azure] allowed_destinations",
    ),
    ({"max_bytes_per_run": "7 B"}, {}, "there are 8 bytes (8 B) to copy, but [s3_to_azure] max_bytes_per_run is 7"),
    (
        {"max_bytes_per_run": "7 B"},
        {"keys": [{"key": key, "size": 0, "etag": "e"} for key in ("in/a", "in/b")]},
        "there are 8 bytes (8 B) to copy, but [s3_to_azure] max_bytes_per_run is 7",
    ),
    (
        {"allowed_sources": "s3://{bucket}, s3://lists/public/"},
        {"keys": "s3://lists/private/keys.csv"},
        "'s3://lists/private/keys.csv' is not allowed by [s3_to_azure] allowed_sources",
    ),
    ({"max_objects_per_run": 1}, {}, "there are 2 objects to copy, but [s3_to_azure] max_objects_per_run is 1"),
    ({"allow_delete": False}, {"delete": "extra"}, "delete is 'extra', but [s3_to_azure] allow_delete is False"),
    (
        {"allow_delete": False},
        {"overwrite_archived": True},
        "overwrite_archived is True, but [s3_to_azure] allow_delete is False; leave overwrite_archived out",
    ),
    (
        {"allow_server_side_copy": False},
        {"mode": "server_side"},
        "mode is 'server_side', but [s3_to_azure] allow_server_side_copy is False",
    ),
]


@pytest.mark.servers
@pytest.mark.parametrize(("rules", "arguments", "message"), RULES)
def test_a_sync_outside_the_guardrails_fails_its_plan(
    sync: Sync,  # noqa: F811
    logged: Callable[[], str],  # noqa: F811
    configure: Callable[..., None],
    rules: dict[str, Any],
    arguments: dict[str, Any],
    message: str,
) -> None:
    """Before anything moves, and without a retry; the error names the key and its value."""
    sync.put("in/a", "in/b")
    names = {"bucket": sync.bucket.name, "container": sync.container.container_name}
    configure(**{key: str(value).format(**names) for key, value in rules.items()})

    night = sync.night(retries=2, **arguments)

    assert night.states()["plan"] == "failed"
    assert message in logged().replace("\n  ", " ")
    assert sync.blobs() == {}


@pytest.mark.servers
def test_several_plans_together_stay_within_the_guardrails(
    sync: Sync,  # noqa: F811
    logged: Callable[[], str],  # noqa: F811
    configure: Callable[..., None],
) -> None:
    """Each of them alone would."""
    sync.put("a", "b")
    configure(max_objects_per_run=1)

    night = sync.night(s3_prefix=["a", "b"], retries=2)

    assert night.states()["batches"] == "failed"
    assert "there are 2 objects to copy, but [s3_to_azure] max_objects_per_run is 1" in logged()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"allowed_sources": "s3://other"}, "is not allowed by [s3_to_azure] allowed_sources"),
        ({"allowed_destinations": "wasb_other/*"}, "is not allowed by [s3_to_azure] allowed_destinations"),
        ({"allowed_sources": "s3://{bucket}/b"}, "a' is not allowed by [s3_to_azure] allowed_sources"),
        ({"allowed_destinations": "wasb_default/{container}/b"}, "a' is not allowed by [s3_to_azure] allowed_dest"),
    ],
)
def test_a_batch_outside_the_guardrails_is_not_copied(
    sync: Sync,  # noqa: F811
    logged: Callable[[], str],  # noqa: F811
    configure: Callable[..., None],
    rules: dict[str, str],
    message: str,
) -> None:
    """Guardrails that are set after the plan was made count for its batches, down to each key and blob."""
    sync.put("a")
    first_fails = "{{ 'stream' if ti.task_id.endswith('plan') or ti.try_number > 1 else 'x' }}"
    night = sync.night(wasb_conn_id="wasb_default", mode=first_fails)
    names = {"bucket": sync.bucket.name, "container": sync.container.container_name}
    configure(**{key: value.format(**names) for key, value in rules.items()})

    again = sync.clear(night)

    assert night.states()["copy[0]"] == again.states()["copy[0]"] == "failed"
    assert message in logged().replace("\n  ", " ")
    assert sync.blobs() == {}


@pytest.mark.servers
@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"allowed_sources": "s3://{bucket}/b"}, "a' is not allowed by [s3_to_azure] allowed_sources"),
        ({"allowed_destinations": "wasb_default/{container}/b"}, "a' is not allowed by [s3_to_azure] allowed_dest"),
        ({"max_bytes_per_run": 0}, "but [s3_to_azure] max_bytes_per_run is 0"),
    ],
)
def test_a_single_copy_stays_within_the_guardrails(
    sync: Sync,  # noqa: F811
    logged: Callable[[], str],  # noqa: F811
    configure: Callable[..., None],
    rules: dict[str, Any],
    message: str,
) -> None:
    """Its key and its blob are what is compared; a limit on bytes is compared with the object's size."""
    sync.put("a")
    names = {"bucket": sync.bucket.name, "container": sync.container.container_name}
    configure(**{key: str(value).format(**names) for key, value in rules.items()})
    with DAG(f"single_{names['container']}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy", s3_bucket=names["bucket"], s3_key="a", container_name=names["container"], retries=2
        )

    run = run_dag(dag)

    assert run.states() == {("copy", -1): "failed"}
    assert message in logged().replace("\n  ", " ")
    assert sync.blobs() == {}


@pytest.mark.servers
def test_a_single_copy_deletes_no_archived_blob_outside_the_guardrails(
    sync: Sync,  # noqa: F811
    logged: Callable[[], str],  # noqa: F811
    configure: Callable[..., None],
) -> None:
    """Nor does any batch: the same function opens the endpoints of both."""
    sync.put("a", body=b"new")
    blob = sync.container.get_blob_client("a")
    blob.upload_blob(b"old")
    blob.set_standard_blob_tier(StandardBlobTier.ARCHIVE)
    etag = blob.get_blob_properties().etag
    configure(allow_delete=False)
    with DAG(f"single_{sync.container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy",
            s3_bucket=sync.bucket.name,
            s3_key="a",
            container_name=sync.container.container_name,
            overwrite_archived=True,
        )

    run = run_dag(dag)

    assert run.states() == {("copy", -1): "failed"}
    assert "overwrite_archived is True, but [s3_to_azure] allow_delete is False" in logged()
    assert blob.get_blob_properties().etag == etag
