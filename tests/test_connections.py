"""From Airflow's connections to clients of S3 and Azure: every kind of credential, and a clear error for each mistake."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from azure.core.credentials import AccessToken, AzureSasCredential
from azure.core.pipeline.policies import AzureSasCredentialPolicy, BearerTokenCredentialPolicy, SansIOHTTPPolicy
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError, ParamValidationError
from botocore.stub import Stubber

from airflow_s3_azure.connections import open_bucket, open_container
from airflow_s3_azure.connections.wasb import account_url, authorisation_policies
from airflow_s3_azure.engine.azure.shared_key import SharedKeyPolicy
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import compute
from airflow_s3_azure.engine.errors import (
    ConfigurationError,
    DestinationAccessDenied,
    DestinationWriteError,
    SourceAccessDenied,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.model import BlobContent, Precondition, SourceObject
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.listing import list_objects
from tests.servers.process import free_port

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

needs_servers = pytest.mark.servers
needs_azure_provider_14 = pytest.mark.skipif(
    int(version("apache-airflow-providers-microsoft-azure").partition(".")[0]) < 14,
    reason="before 14.0 WasbHook wants a ? before a SAS token",
)
pytestmark = pytest.mark.airflow


def _set_connection(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))


def _open_bucket(conn_id: str | None, bucket: str) -> Any:
    return open_bucket(conn_id, bucket, Cancellation(), max_concurrency=1)


def _open_container(conn_id: str, container: str, **arguments: Any) -> Any:
    return open_container(conn_id, container, Cancellation(), **arguments)


@needs_servers
@pytest.mark.parametrize("kind", ["login", "extra", "session token", "default credentials", "assumed profile"])
def test_every_kind_of_aws_credential_reads(
    kind: str, bucket: Bucket, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Every credential of which S3Hook makes a client also signs ranges."""
    etag = bucket.put("a b+c", b"0123456789")
    key, secret = s3_server.access_key, s3_server.secret_key
    extra = {"endpoint_url": s3_server.endpoint_url, "region_name": s3_server.region}
    conn_id: str | None = "aws_test"
    if kind == "login":
        _set_connection(monkeypatch, "aws_test", conn_type="aws", login=key, password=secret, extra=extra)
    elif kind == "extra":
        extra |= {"aws_access_key_id": key, "aws_secret_access_key": secret}
        _set_connection(monkeypatch, "aws_test", conn_type="aws", extra=extra)
    elif kind == "session token":
        extra |= {"aws_session_token": "a-token"}
        _set_connection(monkeypatch, "aws_test", conn_type="aws", login=key, password=secret, extra=extra)
    else:
        monkeypatch.setenv("AWS_REGION", s3_server.region)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint_url)
        if kind == "default credentials":
            conn_id = None
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        else:
            credentials = tmp_path / "credentials"
            credentials.write_text(f"[night]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
            _set_connection(monkeypatch, "aws_test", conn_type="aws", extra={"profile_name": "night"})

    found = _open_bucket(conn_id, bucket.name).source.head("a b+c")

    assert (found.etag, found.size) == (etag, 10)


@needs_servers
def test_a_wrong_secret_is_refused_and_named(
    bucket: Bucket, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 checks the signature, and the error names the cause without the URL."""
    bucket.put("a", b"x")
    connection = s3_server.airflow_connection() | {"password": "not-the-secret"}
    _set_connection(monkeypatch, "aws_test", **connection)

    with pytest.raises(
        SourceAccessDenied,
        match="S3 returned 403 SignatureDoesNotMatch: the secret access key of AWS connection 'aws_test' is wrong",
    ) as caught:
        _open_bucket("aws_test", bucket.name).source.head("a")

    assert "s3:GetObject" not in str(caught.value)
    assert "X-Amz" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_task_that_opens_only_the_destination_imports_nothing_of_boto3() -> None:
    """A report, or an audit: importing S3Hook takes half a CPU second."""
    probe = "import sys; from airflow_s3_azure.connections import open_container; print('boto3' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "False"


def test_an_unknown_host_is_named_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy and in a listing; no later try finds it."""
    extra = {"endpoint_url": "http://s3.nowhere.invalid:9000", "region_name": "eu-west-1"}
    _set_connection(monkeypatch, "aws_test", conn_type="aws", login="AK", password="s", extra=extra)

    def no_such_host(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_host)
    bucket = _open_bucket("aws_test", "some-bucket")
    message = (
        r"S3 could not be reached: there is no host 's3\.nowhere\.invalid'; check region_name and endpoint_url of AWS "
        "connection 'aws_test'"
    )

    for request in (
        lambda: bucket.source.head("a"),
        lambda: list(list_objects(bucket.source, retry=RetryPolicy(attempts=1))),
    ):
        with pytest.raises(SourceReadError, match=message) as caught:
            request()
        assert not caught.value.retryable


def test_a_wasb_connection_for_s3_is_named_as_swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3Hook would take it, and fail at the first request."""
    _set_connection(monkeypatch, "mixed_up", conn_type="wasb", login="account", password="AAAA")

    with pytest.raises(
        ConfigurationError, match=r"aws_conn_id is 'mixed_up', a connection of type 'wasb'; .* swapped\?"
    ):
        _open_bucket("mixed_up", "any")


@pytest.mark.parametrize(
    ("error", "kind", "retryable", "message"),
    [
        (NoCredentialsError(), SourceAccessDenied, False, "AWS connection 'aws_test' has no credentials to sign with"),
        (
            CredentialRetrievalError(provider="web-identity", error_msg="secret text"),
            SourceReadError,
            True,
            "AWS connection 'aws_test' gives no credentials to sign with: CredentialRetrievalError$",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "AssumeRole"),
            SourceAccessDenied,
            False,
            "STS returned 403 AccessDenied: AWS connection 'aws_test' needs sts:AssumeRole here",
        ),
        (
            ParamValidationError(report='Invalid bucket name "s3://b"'),
            SourceReadError,
            False,
            'not a request that S3 accepts: .*Invalid bucket name "s3://b"',
        ),
    ],
)
def test_a_request_that_cannot_be_signed_reports_the_cause(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[TransferError], retryable: bool, message: str
) -> None:
    """Credentials that are missing, that could not be had just now, that were refused; and a request that is wrong."""

    def fail(*_: Any) -> str:
        raise error

    _set_connection(
        monkeypatch, "aws_test", conn_type="aws", login="AK", password="s", extra={"region_name": "eu-west-1"}
    )
    monkeypatch.setattr("airflow_s3_azure.engine.s3.presign.Presigner.__call__", fail)

    with pytest.raises(kind, match=message) as caught:
        _open_bucket("aws_test", "bucket--euw1-az1--x-s3").source.head("a")

    assert caught.value.retryable == retryable
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("bucket", "algorithm", "scope"),
    [
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "AWS4-ECDSA-P256-SHA256", "/s3/aws4_request"),
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint/ap", "AWS4-HMAC-SHA256", "/eu-west-1/s3/aws4_request"),
        ("bucket--euw1-az1--x-s3", "AWS4-HMAC-SHA256", "/eu-west-1/s3express/aws4_request"),
        ("point--euw1-az1--xa-s3", "AWS4-HMAC-SHA256", "/eu-west-1/s3express/aws4_request"),
    ],
)
def test_each_kind_of_bucket_is_signed_as_it_must_be(
    monkeypatch: pytest.MonkeyPatch, bucket: str, algorithm: str, scope: str
) -> None:
    """A Multi-Region Access Point by SigV4A, a directory bucket with a session, all others by SigV4."""
    _set_connection(
        monkeypatch, "aws_test", conn_type="aws", login="AK", password="s", extra={"region_name": "eu-west-1"}
    )
    opened = _open_bucket("aws_test", bucket)
    session = {"AccessKeyId": "AK", "SecretAccessKey": "s", "SessionToken": "t"}
    stub = Stubber(opened.client)
    expires = datetime.now(UTC) + timedelta(minutes=5)
    stub.add_response("create_session", {"Credentials": {**session, "Expiration": expires}}, {"Bucket": bucket})

    with stub:
        url = opened.source.readable_url(SourceObject("a//b", 1, "e"))

    query = parse_qs(urlsplit(url).query)
    assert urlsplit(url).path == "/a//b"
    assert query["X-Amz-Algorithm"] == [algorithm]
    assert query["X-Amz-Credential"][0].endswith(scope)


@needs_servers
def test_a_missing_bucket_is_named(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a 404 names whether the bucket or the key is missing."""
    _set_connection(monkeypatch, "aws_test", **s3_server.airflow_connection())

    with pytest.raises(SourceNotFound, match="there is no bucket 'no-such-bucket'"):
        _open_bucket("aws_test", "no-such-bucket").source.head("a")


@needs_servers
@pytest.mark.usefixtures("connections")
def test_the_times_of_a_listing_are_in_utc(bucket: Bucket) -> None:
    """As those of Azure are."""
    before = datetime.now(UTC)
    bucket.put("a", b"x")

    (listed,) = list_objects(_open_bucket("aws_default", bucket.name).source)

    assert listed.last_modified is not None
    assert listed.last_modified.tzinfo is UTC
    assert abs(listed.last_modified - before) < timedelta(minutes=1)


def test_urls_are_signed_regionally_with_sigv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an endpoint of its own, a bucket is addressed by its regional host name, and headers are signed."""
    _set_connection(
        monkeypatch,
        "aws_test",
        conn_type="aws",
        login="AKIDEXAMPLE",
        password="secret",
        extra={"region_name": "eu-west-1"},
    )
    client = _open_bucket("aws_test", "some-bucket").client

    url = urlsplit(
        client.generate_presigned_url("get_object", {"Bucket": "some-bucket", "Key": "a//b", "IfMatch": "e"})
    )

    assert (url.scheme, url.netloc, url.path) == ("https", "some-bucket.s3.eu-west-1.amazonaws.com", "/a//b")
    query = parse_qs(url.query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["host;if-match"]


def test_the_connections_own_config_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """config_kwargs of the connection take precedence over the defaults of streaming."""
    extra = {"region_name": "eu-west-1", "config_kwargs": {"s3": {"addressing_style": "path"}, "read_timeout": 7}}
    _set_connection(monkeypatch, "aws_test", conn_type="aws", login="AKIDEXAMPLE", password="secret", extra=extra)

    client = open_bucket("aws_test", "some-bucket", Cancellation(), max_concurrency=24).client

    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.read_timeout == 7
    assert client.meta.config.max_pool_connections == 24


@pytest.mark.parametrize("url", ["https:/acme.blob.core.windows.net/?sv=1&sig={}", "https:/u:{}@acme/?sv=1&sig=x"])
def test_the_error_of_a_mistyped_sas_url_shows_neither_its_signature_nor_its_login(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK quotes the URL, and the command line masks nothing."""
    secret = "SECRETsecretSECRET"
    _set_connection(monkeypatch, "wasb_test", conn_type="wasb", login="acme", extra={"sas_token": url.format(secret)})

    with pytest.raises(ConfigurationError, match="connection 'wasb_test'") as caught:
        account_url("wasb_test")

    assert secret not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("password", ["SECRET", "SECRET/x", "SECRET?x", "SECRET#x", "SEC@RET"])
@pytest.mark.parametrize("field", ["host", "sas_token", "connection_string"])
def test_a_login_in_the_url_of_an_account_is_refused(
    field: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL of the container is in links, XCom and logs."""
    url = f"https://user:{password}@acme.blob.core.windows.net"
    key = {"conn_type": "wasb", "login": "acme", "password": "AAAA"}
    fields: dict[str, dict[str, Any]] = {
        "host": key | {"host": url},
        "sas_token": {"conn_type": "wasb", "login": "acme", "extra": {"sas_token": f"{url}/?sv=1&sig=x"}},
        "connection_string": {
            "conn_type": "wasb",
            "extra": {"connection_string": f"BlobEndpoint={url};AccountKey=AAAA"},
        },
    }
    _set_connection(monkeypatch, "wasb_test", **fields[field])

    with pytest.raises(ConfigurationError, match="connection 'wasb_test'") as caught:
        account_url("wasb_test")

    assert "SEC" not in "".join(traceback.format_exception(caught.value))


_ROLE = {"role_arn": "arn:aws:iam::123456789012:role/night"}
_WEB_IDENTITY = _ROLE | {"assume_role_method": "assume_role_with_web_identity"}


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        (_ROLE | {"assume_role_method": "assumerole"}, "assume_role_method='assumerole'"),
        (_ROLE | {"assume_role_method": "assume_role_with_saml"}, "its extra has no field 'assume_role_with_saml'"),
        (_ROLE | {"assume_role_kwargs": {"ExternalId": 5318008}}, "Invalid type for parameter ExternalId, type"),
        (_WEB_IDENTITY, "Unsupported federation: None"),
        (
            _WEB_IDENTITY
            | {
                "assume_role_with_web_identity_federation": "file",
                "assume_role_with_web_identity_token_file": "/no/such/token",
            },
            "assume_role_with_web_identity_token_file .* '/no/such/token': No such file or directory",
        ),
        (
            _WEB_IDENTITY | {"assume_role_with_web_identity_federation": "file"},
            "has no assume_role_with_web_identity_token_file, and AWS_WEB_IDENTITY_TOKEN_FILE is not set",
        ),
        ({"config_kwargs": {"read_timeut": 7}}, "its extra is not valid .*'read_timeut'.*config_kwargs"),
        ({"config_kwargs": "{}"}, "its extra is not valid"),
        ({"profile_name": "nobody"}, r"profile \(nobody\) could not be found"),
    ],
)
def test_a_broken_aws_connection_is_named_and_never_retried(
    extra: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3Hook raises errors of many types, most of which Airflow would retry."""
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE", raising=False)
    login = {} if "profile_name" in extra else {"login": "AK", "password": "SECRET"}
    extra = {"region_name": "eu-west-1", "endpoint_url": "http://127.0.0.1:9", **extra}
    _set_connection(monkeypatch, "aws_test", conn_type="aws", extra=extra, **login)

    with pytest.raises(ConfigurationError, match=f"(?s){problem}") as caught:
        _open_bucket("aws_test", "some-bucket")

    assert "AWS connection 'aws_test'" in str(caught.value)
    assert not caught.value.retryable
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert not re.search("SECRET|5318008", str(caught.value))


@pytest.mark.parametrize("conn_type", ["aws", "wasb"])
def test_proxies_that_are_no_mapping_are_named_and_never_retried(
    conn_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any request. The URL of a proxy may hold a password."""
    proxy = "http://user:SECRET@proxy.example:3128"
    extra = {
        "aws": {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"proxies": proxy}},
        "wasb": {"proxies": proxy},
    }
    _set_connection(monkeypatch, "odd", conn_type=conn_type, login="acme", password="AAAA", extra=extra[conn_type])

    with pytest.raises(ConfigurationError, match=r"the proxies of .*'odd' are of type str") as caught:
        (_open_bucket if conn_type == "aws" else _open_container)("odd", "some-name")

    assert "SECRET" not in str(caught.value)


def test_a_token_file_of_the_environment_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a pod whose service account has no role: boto3's default credentials read the file at the first request."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/night")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    with pytest.raises(
        SourceAccessDenied, match=r"default credentials has no credentials .*'/no/such/token': No such file"
    ):
        _open_bucket(None, "some-bucket").source.head("a")


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("SECRET"), OSError(5, "Input/output error"), TimeoutError()]
)
def test_an_outage_while_an_aws_connection_is_read_is_retryable(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a SAML identity provider, or of a file system."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    _set_connection(monkeypatch, "aws_test", conn_type="aws", login="AK", password="s")
    monkeypatch.setattr("airflow.providers.amazon.aws.hooks.s3.S3Hook.get_session", fail)

    with pytest.raises(SourceReadError, match=rf"AWS connection 'aws_test' \({type(error).__name__}\)") as caught:
        _open_bucket("aws_test", "some-bucket")

    assert caught.value.retryable


@pytest.mark.parametrize("password", ["SECRET", "SECRET/x", "SECRET?x", "SECRET#x", "SEC@RET"])
@pytest.mark.parametrize("scheme", ["http://", "http:/"])
@pytest.mark.parametrize("place", ["extra", "service_config", "environment"])
def test_a_login_in_the_endpoint_of_s3_is_refused(
    place: str, scheme: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the host of a request in logs and errors."""
    url = {"endpoint_url": f"{scheme}user:{password}@127.0.0.1:9"}
    extra: dict[str, Any] = {"region_name": "eu-west-1"}
    if place == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url["endpoint_url"])
    else:
        extra |= url if place == "extra" else {"service_config": {"s3": url}}
    _set_connection(monkeypatch, "aws_test", conn_type="aws", login="AK", password="s", extra=extra)

    with pytest.raises(ConfigurationError, match="AWS connection 'aws_test'") as caught:
        _open_bucket("aws_test", "some-bucket")

    assert "SEC" not in str(caught.value)


@needs_servers
@pytest.mark.parametrize(
    "kind",
    [
        "key",
        "shared key",
        "account key",
        "connection string",
        "sas token with ?",
        pytest.param("sas token", marks=needs_azure_provider_14),
        "connection string with sas",
    ],
)
def test_every_kind_of_azure_credential_writes(
    kind: str, container: ContainerClient, azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every credential of which WasbHook makes a client also stages, commits, puts and HEADs."""
    sas = generate_account_sas(
        azure_server.account,
        azure_server.key,
        resource_types=ResourceTypes(container=True, object=True),
        permission=AccountSasPermissions(read=True, write=True, list=True, create=True, add=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    place = {"conn_type": "wasb", "host": azure_server.endpoint, "login": azure_server.account}
    kinds: dict[str, dict[str, Any]] = {
        "key": place | {"password": azure_server.key},
        "shared key": place | {"extra": {"shared_access_key": azure_server.key}},
        "account key": place | {"extra": {"account_key": azure_server.key}},
        "connection string": {"conn_type": "wasb", "extra": {"connection_string": azure_server.connection_string}},
        "sas token with ?": place | {"extra": {"sas_token": f"?{sas}"}},
        "sas token": place | {"extra": {"sas_token": sas}},
        "connection string with sas": {
            "conn_type": "wasb",
            "extra": {"connection_string": f"BlobEndpoint={azure_server.endpoint};SharedAccessSignature={sas}"},
        },
    }
    _set_connection(monkeypatch, "wasb_test", **kinds[kind])
    data = memoryview(b"0123456789")
    crc64 = compute("CRC64NVME", data)
    content = BlobContent(headers={"content-type": "text/x-odd"}, metadata={"a": "b"})

    blobs = _open_container("wasb_test", container.container_name).blobs
    blobs.put("a/ö +%.txt", data, crc64, content, Precondition(None))
    blobs.stage("b", "only", data, crc64)
    blobs.commit("b", ["only"], content, Precondition(None))

    assert [one.name for one in blobs.staged("b")] == []
    for name in ("a/ö +%.txt", "b"):
        assert blobs.head(name).size == 10
        blob = container.get_blob_client(name)
        assert blob.download_blob().readall() == bytes(data)
        assert blob.get_blob_properties().content_settings.content_type == "text/x-odd"
        assert blob.get_blob_properties().metadata == {"a": "b"}
    assert "sig=" not in blobs.url + blobs.blob_url("b")


class _Token:
    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise NotImplementedError


def test_tokens_and_sas_credentials_are_authorised_by_azure_cores_own_policies() -> None:
    """A managed identity, a service principal or a workload identity is a token credential."""
    assert [type(policy) for policy in authorisation_policies(_Token(), "")] == [BearerTokenCredentialPolicy]
    (policy,) = authorisation_policies(AzureSasCredential("sig=x"), "")
    assert isinstance(policy, AzureSasCredentialPolicy)
    assert authorisation_policies(None, "") == []
    with pytest.raises(ConfigurationError, match="of type int cannot authorise"):
        authorisation_policies(3, "")


def test_an_account_key_is_signed_with_here_and_an_unknown_policy_is_taken_as_it_is() -> None:
    """The SDK client's own policies authorize the requests."""
    shared_key = BlobServiceClient("https://account.blob.core.windows.net", credential="AAAA").credential
    unknown: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()

    assert [type(policy) for policy in authorisation_policies(shared_key, "")] == [SharedKeyPolicy]
    assert authorisation_policies(unknown, "") == [unknown]


@needs_servers
def test_a_wrong_azure_key_is_refused_and_named(
    container: ContainerClient, azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error quotes the service and names what to check."""
    _set_connection(monkeypatch, "wasb_test", **(azure_server.airflow_connection() | {"password": "AAAA"}))
    blobs = _open_container("wasb_test", container.container_name).blobs

    with pytest.raises(DestinationAccessDenied, match=r"Azure returned 403 AuthorizationFailure: .*credential"):
        blobs.stage("a", "id", memoryview(b"x"), compute("CRC64NVME", memoryview(b"x")))


@pytest.mark.parametrize("key", ["c2hvcnQ", "truncated===", "not base64!", "\u00e9"])
def test_a_truncated_account_key_is_named_with_its_connection(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any request: the SDK would raise a bare AzureSigningError at each."""
    _set_connection(monkeypatch, "wasb_test", conn_type="wasb", host="http://127.0.0.1:1/a", login="a", password=key)

    with pytest.raises(
        ConfigurationError, match="the password of connection 'wasb_test' is not an account key"
    ) as caught:
        _open_container("wasb_test", "landing")

    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"conn_type": "aws", "login": "AKIAIOSFODNN7EXAMPLE", "password": "wJalrXUtnFEMI/K7MDENG"},
        {"conn_type": "wasb", "login": "ASIAIOSFODNN7EXAMPLE", "password": "wJalrXUtnFEMI/K7MDENG"},
        {"conn_type": "aws", "extra": {"region_name": "eu-west-1"}},
    ],
)
def test_aws_keys_in_the_wasb_connection_are_named_as_swapped(
    fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commonest mistake with two connections."""
    _set_connection(monkeypatch, "wasb_test", **fields)

    with pytest.raises(ConfigurationError, match="are aws_conn_id and wasb_conn_id swapped"):
        _open_container("wasb_test", "landing")


@pytest.mark.parametrize("name", ["landing/../finance", "../finance", "landing?comp=list", "landing/x", "Landing"])
def test_a_name_that_is_no_container_is_refused_before_any_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an account SAS, dot segments would lead to another container."""
    monkeypatch.setenv("AIRFLOW_CONN_WASB_TEST", "wasb://account:AAAA@127.0.0.1:1")

    with pytest.raises(ConfigurationError, match=rf"container_name is {re.escape(repr(name))}, but a container name"):
        _open_container("wasb_test", name)


@needs_servers
def test_a_missing_container_is_named_or_created(azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names how to create it; create_container does."""
    _set_connection(monkeypatch, "wasb_test", **azure_server.airflow_connection())

    with pytest.raises(ConfigurationError, match=r"there is no container 'not-yet'.*create_container=True"):
        _open_container("wasb_test", "not-yet")
    _open_container("wasb_test", "not-yet", create_container=True)

    assert azure_server.container_client("not-yet", create=False).exists()


def test_a_refused_connection_is_a_retryable_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within seconds, with a readable cause."""
    _set_connection(
        monkeypatch,
        "wasb_test",
        conn_type="wasb",
        host=f"http://127.0.0.1:{free_port()}/account",
        login="account",
        password="AAAA",
        extra={"retry_total": 0},
    )

    with pytest.raises(DestinationWriteError, match=r"ConnectionRefusedError \(Connection refused\)") as caught:
        _open_container("wasb_test", "any")

    assert caught.value.retryable


@pytest.mark.parametrize("argument", ["aws_conn_id", "wasb_conn_id"])
def test_a_missing_connection_is_named(argument: str) -> None:
    """Neither hook's fallback is used: the named connection must exist."""
    with pytest.raises(ConfigurationError, match=rf"no Airflow connection 'nope' \({argument}\).*AIRFLOW_CONN_NOPE"):
        (_open_bucket if argument == "aws_conn_id" else _open_container)("nope", "any")
