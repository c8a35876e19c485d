"""URLs that are signed here are the ones that botocore signs, letter by letter; what is not known is left to botocore."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore.auth
import botocore.session
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.s3.params import Operation
from airflow_s3_azure.engine.s3.presign import Presigner
from tests.examples import examples

ACCESS_POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
MULTI_REGION = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap"
DIRECTORY = "mine--euw1-az1--x-s3"


def make_client(
    *, endpoint_url: str | None = None, token: str | None = None, region: str = "eu-west-1", **config: Any
) -> Any:
    """Return a client that signs with SigV4 by default."""
    return boto3.session.Session().client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret/+=",
        aws_session_token=token,
        config=Config(**{"signature_version": "s3v4", **config}),
    )


CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "virtual": ("some-bucket", {"s3": {"addressing_style": "virtual"}}),
    "path": ("some-bucket", {"s3": {"addressing_style": "path"}}),
    "bucket with dots": ("some.bucket", {"s3": {"addressing_style": "auto"}}),
    "session token": ("some-bucket", {"token": "a token/+=%&?"}),
    "endpoint": ("some-bucket", {"endpoint_url": "http://127.0.0.1:4566"}),
    "endpoint with a path": ("some-bucket", {"endpoint_url": "https://Storage.Example/base/"}),
    "default port": ("some-bucket", {"endpoint_url": "https://storage.example:443"}),
    "IPv6": ("some-bucket", {"endpoint_url": "http://[::1]:9000"}),
    "dual stack": ("some-bucket", {"s3": {"use_dualstack_endpoint": True, "addressing_style": "virtual"}}),
    "accelerate": ("some-bucket", {"s3": {"use_accelerate_endpoint": True}}),
    "FIPS": ("some-bucket", {"region": "us-east-1", "use_fips_endpoint": True}),
    "China": ("some-bucket", {"region": "cn-north-1"}),
    "access point": (ACCESS_POINT, {}),
    "access point alias": (
        "mine-abcdefghijklmnopqrstuvwxyz0123456789-s3alias",
        {"s3": {"addressing_style": "virtual"}},
    ),
}
_MADE = {name: (make_client(**options), bucket) for name, (bucket, options) in CLIENTS.items()}
_SIGNERS = {name: Presigner(client, bucket, 600) for name, (client, bucket) in _MADE.items()}

keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40) | st.sampled_from(
    [
        "/lead",
        "//two",
        "a/../b",
        "./a",
        "a//b",
        "%2F",
        "+ &?#",
        "\n",
        "a/",
        "..",
        "~",
        "é",
        "e\u0301",
        "a;b=c",
        "{{ x }}",
    ]
)
header_values = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
parameters = st.fixed_dictionaries(
    {"Key": keys},
    optional={
        "IfMatch": header_values,
        "Range": st.builds("bytes={}-{}".format, st.integers(0, 9), st.integers(9, 10**13)),
        "ChecksumMode": st.just("ENABLED"),
        "RequestPayer": st.just("requester"),
        "VersionId": st.text(st.characters(codec="ascii", min_codepoint=32), min_size=1, max_size=20),
        "PartNumber": st.integers(1, 10_000),
    },
)


def ours_and_botocores(name: str, operation: Operation, params: Mapping[str, str | int]) -> tuple[str, str]:
    """Return the URL that is signed here, and botocore's for the same second."""
    client, bucket = _MADE[name]
    signer = _SIGNERS[name]
    while True:
        signer(operation, params)  # the first of a form comes from botocore
        ours = signer(operation, params)
        expected = str(client.generate_presigned_url(operation, {"Bucket": bucket, **params}, 600))
        if _date(ours) == _date(expected):
            return ours, expected


def _date(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query)["X-Amz-Date"]


@settings(max_examples=examples(1.5))
@given(
    name=st.sampled_from(sorted(CLIENTS)), operation=st.sampled_from(["get_object", "head_object"]), params=parameters
)
def test_a_url_is_the_one_that_botocore_signs(name: str, operation: Operation, params: dict[str, str | int]) -> None:
    """For any key, version and combination of parameters, on any kind of endpoint."""
    ours, expected = ours_and_botocores(name, operation, params)

    assert ours == expected


def test_a_url_is_also_the_one_that_botocore_signs_without_the_crt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `awscrt` is not what signs, the query comes in another order."""
    monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "s3v4-query", botocore.auth.S3SigV4QueryAuth)
    client = Counted(make_client(token="a-token"))
    signer = Presigner(client, "some-bucket", 600)
    params = {"Key": "a+b", "IfMatch": '"e"', "Range": "bytes=0-1", "VersionId": "v"}

    while True:
        signer("get_object", params)
        ours, expected = (
            signer("get_object", params),
            client.generate_presigned_url("get_object", {"Bucket": "some-bucket", **params}, 600),
        )
        if _date(ours) == _date(expected):
            break

    assert ours == expected
    assert "X-Amz-Expires=600&X-Amz-SignedHeaders=" in ours


class Counted:
    """A client that counts how many URLs it signs itself."""

    def __init__(self, client: Any) -> None:
        self.meta = client.meta
        self.signed = 0
        self._client = client

    def generate_presigned_url(self, *arguments: Any) -> str:
        """Sign."""
        self.signed += 1
        return str(self._client.generate_presigned_url(*arguments))


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_botocore_signs_two_urls_of_each_form(name: str) -> None:
    """All kinds of endpoints are known: after the first URL and the difficult one, the others are signed here."""
    client = Counted(_MADE[name][0])
    signer = Presigner(client, _MADE[name][1], 600)

    for number in range(5):
        signer("get_object", {"Key": f"a{number}", "IfMatch": f'"{number}"', "VersionId": "v"})
    assert client.signed == 2
    signer("get_object", {"Key": "a"})
    assert client.signed == 4


def _constant(request: Any, **_: Any) -> None:
    request.headers["x-amz-expected-bucket-owner"] = "1"


def _by_key(request: Any, **_: Any) -> None:
    request.url = request.url.replace("+", "%20") if "%2B" in request.url else request.url + "&x=1"


def _with(handler: Any) -> Any:
    client = make_client()
    client.meta.events.register("before-sign.s3", handler)
    return client


UNKNOWN: dict[str, Callable[[], tuple[Any, str]]] = {
    "SigV2": lambda: (make_client(signature_version="s3"), "some-bucket"),
    "multi-region access point": lambda: (make_client(signature_version=None), MULTI_REGION),
    "SigV4A": lambda: (make_client(signature_version="s3v4a"), "some-bucket"),
    "a handler that adds a header": lambda: (_with(_constant), "some-bucket"),
    "a handler that reads the URL": lambda: (_with(_by_key), "some-bucket"),
}


@pytest.mark.parametrize("kind", sorted(UNKNOWN))
def test_what_is_not_known_is_signed_by_botocore_each_time(kind: str) -> None:
    """No URL is made up that botocore would not have made."""
    made, bucket = UNKNOWN[kind]()
    client = Counted(made)
    signer = Presigner(client, bucket, 600)

    for number in range(10):
        signer("get_object", {"Key": f"a{number}"})
    before = client.signed
    for number in range(10):
        signer("get_object", {"Key": f"a{number}"})

    assert client.signed == before + 10


def _give_sessions(client: Any, lives: timedelta) -> list[str]:
    """Serve the client's sessions of a directory bucket; return the list of issued tokens."""
    given: list[str] = []

    def create_session(**params: Any) -> dict[str, Any]:
        assert params == {"Bucket": DIRECTORY}
        token = f"T{len(given)}"
        given.append(token)
        credentials = {"AccessKeyId": f"AK{token}", "SecretAccessKey": "s", "SessionToken": token}
        return {"Credentials": {**credentials, "Expiration": datetime.now(UTC) + lives}}

    client.create_session = create_session
    return given


def test_a_multi_region_access_point_is_signed_for_every_region() -> None:
    """By SigV4A, for the one host that all regions share."""
    signer = Presigner(make_client(signature_version=None), MULTI_REGION, 600)

    url = urlsplit(signer("get_object", {"Key": "a", "IfMatch": '"e"', "Range": "bytes=0-1"}))

    assert url.netloc == "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"
    query = parse_qs(url.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-ECDSA-P256-SHA256"]
    assert query["X-Amz-Region-Set"] == ["*"]
    assert query["X-Amz-SignedHeaders"] == ["host;if-match;range"]


def test_a_directory_bucket_is_signed_with_its_session() -> None:
    """One session serves many URLs; each of them is botocore's."""
    client = make_client(signature_version=None)
    given = _give_sessions(client, timedelta(minutes=5))
    signer = Presigner(client, DIRECTORY, 600)

    urls = [urlsplit(signer("get_object", {"Key": f"a{number}", "IfMatch": '"e"'})) for number in range(9)]

    assert given == ["T0"]
    for number, url in enumerate(urls):
        assert (url.netloc, url.path) == (f"{DIRECTORY}.s3express-euw1-az1.eu-west-1.amazonaws.com", f"/a{number}")
        query = parse_qs(url.query)
        assert query["X-Amz-Credential"][0].startswith("AKT0/")
        assert query["X-Amz-Credential"][0].endswith("/eu-west-1/s3express/aws4_request")
        assert query["X-Amz-S3session-Token"] == ["T0"]


def test_a_new_session_of_a_directory_bucket_is_used_at_once() -> None:
    """A session lives for five minutes, and a copy for hours."""
    client = make_client(signature_version=None)
    given = _give_sessions(client, timedelta(seconds=1))
    signer = Presigner(client, DIRECTORY, 600)

    for number in range(9):
        before = len(given)
        url = signer("get_object", {"Key": f"a{number}"})
        assert len(given) > before
        assert parse_qs(urlsplit(url).query)["X-Amz-S3session-Token"][0] in given[before:]


@pytest.mark.parametrize("operation", ["get_object_tagging", "head_bucket"])
def test_rare_operations_are_left_to_botocore(operation: Operation) -> None:
    """Only what is sent once per block or object is worth it."""
    client = Counted(make_client())
    signer = Presigner(client, "some-bucket", 600)

    for _ in range(3):
        signer(operation, {} if operation == "head_bucket" else {"Key": "a"})

    assert client.signed == 3


@pytest.mark.parametrize("value", [" a", "a ", "a  b", "a\tb"])
def test_a_header_value_that_sigv4_would_trim_is_left_to_botocore(value: str) -> None:
    """What exactly is trimmed is the signer's to know."""
    client = Counted(make_client())
    signer = Presigner(client, "some-bucket", 600)
    signer("get_object", {"Key": "a", "IfMatch": "a"})
    before = client.signed

    signer("get_object", {"Key": "a", "IfMatch": value})

    assert client.signed == before + 1


@pytest.fixture
def refreshed() -> tuple[Any, list[str]]:
    """A client whose credentials change at each refresh, and the access keys issued so far."""
    issued: list[str] = []

    def refresh() -> dict[str, str]:
        issued.append(f"AKID{len(issued)}")
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        return {"access_key": issued[-1], "secret_key": issued[-1], "token": issued[-1], "expiry_time": soon}

    session = botocore.session.get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    return session.create_client("s3", region_name="eu-west-1", config=Config(signature_version="s3v4")), issued


def test_refreshed_credentials_are_used(refreshed: tuple[Any, list[str]]) -> None:
    """A URL that is signed here has the newest key and token, not those with which the form was learnt."""
    client, issued = refreshed
    signer = Presigner(client, "some-bucket", 600)

    for _ in range(6):
        url = signer("get_object", {"Key": "a"})
        query = parse_qs(urlsplit(url).query)
        assert query["X-Amz-Credential"][0].partition("/")[0] == query["X-Amz-Security-Token"][0] in issued[-3:]


def test_rotated_credentials_are_picked_up() -> None:
    """The credentials of a second are those at its first URL: a later second has the newest."""
    session = botocore.session.get_session()
    session.set_credentials("AKID1", "secret1", "token1")
    client = session.create_client("s3", region_name="eu-west-1", config=Config(signature_version="s3v4"))
    clock = [time.time() - 1]
    signer = Presigner(client, "some-bucket", 600, clock=lambda: clock[0])
    for _ in range(2):
        signer("get_object", {"Key": "a"})
    held = session.get_credentials()
    assert held is not None
    held.access_key, held.secret_key, held.token = "AKID2", "secret2", None

    while True:
        clock[0] = time.time()
        ours = signer("get_object", {"Key": "b"})
        expected = client.generate_presigned_url("get_object", {"Bucket": "some-bucket", "Key": "b"}, 600)
        if _date(ours) == _date(expected):
            break

    assert ours == expected
    assert "AKID2" in ours
    assert "Security-Token" not in ours


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only whether a form is signed here is."""
    signer = Presigner(make_client(token="a-token"), "some-bucket", 600)

    with caplog.at_level(logging.DEBUG, logger="airflow_s3_azure"):
        for _ in range(3):
            signer("get_object", {"Key": "a", "IfMatch": "b"})

    assert caplog.messages == ["get_object with Key, IfMatch: signed here"]
