"""Translates failures of S3 into this package's errors, each with its remedy. No other module does.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html lists the codes. The text of S3 is untrusted: it is
quoted as one short line, and everything that resembles a credential is redacted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Self
from urllib.parse import urlsplit

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointProviderError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from airflow_s3_azure.engine.errors import (
    ARCHIVED,
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.http.client import Response
from airflow_s3_azure.engine.http.failures import describe, unresolved_host
from airflow_s3_azure.engine.http.redaction import redact
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES, TRANSIENT_STATUSES, retry_after
from airflow_s3_azure.engine.properties import http_date
from airflow_s3_azure.engine.quoting import quote_text, request_id
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket
from airflow_s3_azure.engine.s3.documents import parse_document
from airflow_s3_azure.engine.xml import InvalidXML

THE_CONNECTION = "the AWS connection"
"""The name of a connection in errors if its ID is unknown."""

_MAX_ERROR = 64 * 1024
_CODE = re.compile(r"[A-Za-z0-9.]{1,100}")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_CLOCK_LIMIT = 60.0
"""Seconds. A smaller difference is not the cause: AWS accepts 15 minutes."""
_NONE: Mapping[str, Any] = MappingProxyType({})
_TWICE: Mapping[str, Any] = MappingProxyType({"transient": True, "attempts": 2})
"""Each attempt is signed again, perhaps with refreshed credentials; a third would only repeat the refusal."""
_BUSY: Mapping[str, Any] = MappingProxyType({"transient": True, "throttled": True})
_REGION_CODES = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"})


@dataclass(frozen=True, slots=True)
class _Rule:
    """The meaning of an error code.

    :param remedy: cause and remedy; ``{connection}``, ``{bucket}`` and ``{clock}`` are filled in
    :param options: for the error
    """

    kind: type[TransferError]
    remedy: str
    options: Mapping[str, Any] = field(default_factory=lambda: _NONE)


_NO_BUCKET = "there is no bucket {bucket!r}; check the name, and region and endpoint of {connection}"
_NO_KEY = "there is no such object; check the key, and the region of {connection}"
_KMS = "; restore the key in AWS KMS, or leave the object out"
_RULES: Mapping[str, _Rule] = {
    "NoSuchBucket": _Rule(SourceNotFound, _NO_BUCKET),
    "NoSuchKey": _Rule(SourceNotFound, _NO_KEY, {"bucket_exists": True}),
    "NoSuchVersion": _Rule(
        SourceNotFound,
        "this version no longer exists; copy the current one, or check the bucket's lifecycle rules for old versions",
        {"bucket_exists": True},
    ),
    "InvalidObjectState": _Rule(SourceArchived, ARCHIVED),
    "InvalidAccessKeyId": _Rule(
        SourceAccessDenied,
        "the access key ID of {connection} does not exist or is inactive; enter an active key of AWS IAM there",
    ),
    "SignatureDoesNotMatch": _Rule(
        SourceAccessDenied,
        "the secret access key of {connection} is wrong: it does not belong to its access key ID. Enter both again; "
        "if the secret is right, a proxy changes the requests{clock}",
        _TWICE,
    ),
    "ExpiredToken": _Rule(
        SourceAccessDenied,
        "the session token of {connection} has expired; renew it, or let the connection assume a role (role_arn), "
        "whose credentials are refreshed",
        _TWICE,
    ),
    "InvalidToken": _Rule(
        SourceAccessDenied,
        "the session token of {connection} does not belong to its access key; enter all three values again",
        _TWICE,
    ),
    "RequestTimeTooSkewed": _Rule(
        SourceAccessDenied,
        "S3 and this worker disagree about the time{clock}; synchronize the clock of this worker (NTP)",
        {**_TWICE, "retryable": True},  # another worker's clock may be right
    ),
    "KMS.DisabledException": _Rule(SourceAccessDenied, "the KMS key it is encrypted with is disabled" + _KMS),
    "KMS.NotFoundException": _Rule(SourceAccessDenied, "the KMS key it is encrypted with does not exist" + _KMS),
    "KMS.KMSInvalidStateException": _Rule(
        SourceAccessDenied,
        "the KMS key it is encrypted with cannot be used, perhaps because it is to be deleted" + _KMS,
    ),
    "InvalidRequest": _Rule(
        SourceAccessDenied,
        "most likely it is encrypted with a customer's own key (SSE-C), which cannot be read through a presigned URL; "
        "re-encrypt it with SSE-S3 or SSE-KMS, or leave it out",
    ),
    "AllAccessDisabled": _Rule(SourceAccessDenied, "AWS has disabled all access to it; ask AWS Support"),
    "AccountProblem": _Rule(SourceAccessDenied, "the AWS account has a problem, such as an open bill; ask AWS Support"),
    "RequestTimeout": _Rule(SourceReadError, "the connection was too slow", {"transient": True}),
    "SlowDown": _Rule(SourceReadError, "S3 throttles requests", _BUSY),
    "Throttling": _Rule(SourceReadError, "S3 throttles requests", _BUSY),
    "ThrottlingException": _Rule(SourceReadError, "AWS KMS throttles requests", _BUSY),
    "KMS.ThrottlingException": _Rule(SourceReadError, "AWS KMS throttles requests", _BUSY),
}
_PERMISSIONS = {
    "list_objects_v2": "s3:ListBucket",
    "head_bucket": "s3:ListBucket",
    "get_object_tagging": "s3:GetObjectTagging",
    "RestoreObject": "s3:RestoreObject",
    "CreateSession": "s3express:CreateSession",
    "AssumeRole": "sts:AssumeRole",
    "AssumeRoleWithSAML": "sts:AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity": "sts:AssumeRoleWithWebIdentity",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response with which S3 refused a request.

    :param operation: the request's, as boto3 names it
    :param code: of the service; empty where the response has no body, as after a HEAD
    :param reason: the code, or else the status line's text
    :param message: of the service, as one line
    :param headers: by names in lower case
    """

    operation: str
    status: int
    code: str
    reason: str
    message: str
    headers: Mapping[str, str]

    @classmethod
    def of_response(cls, operation: str, response: Response) -> Self:
        """Return the refusal in a response, whose body is read."""
        code = message = ""
        try:
            document = parse_document(response.read(_MAX_ERROR), "Error")
        except (InvalidXML, OSError):
            pass
        else:
            code, message = document.findtext("{*}Code", ""), document.findtext("{*}Message", "")
        code = _known_code(code)
        reason = code or quote_text(redact(response.reason), 60)
        return cls(operation, response.status_code, code, reason, quote_text(redact(message)), response.headers)

    @classmethod
    def of_client_error(cls, error: ClientError) -> Self:
        """Return the refusal in a response that botocore read."""
        fields, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        headers = {str(name).lower(): str(value) for name, value in meta.get("HTTPHeaders", {}).items()}
        code, message = _known_code(fields.get("Code", "")), quote_text(redact(fields.get("Message", "")))
        return cls(error.operation_name, meta.get("HTTPStatusCode", 0), code, code, message, headers)

    def __str__(self) -> str:
        service = "STS" if self.operation.startswith("AssumeRole") else "S3"
        return f"{service} returned {self.status} {self.reason}".rstrip()


def _known_code(text: str) -> str:
    return text.strip() if _CODE.fullmatch(text.strip()) else ""


def translate(
    refusal: Refusal, *, bucket: str, key: str | None, connection: str = THE_CONNECTION, etag: str | None = None
) -> TransferError:
    """Return the error for a refusal.

    :param key: as ``s3://bucket/key``; None: the copy fills it in
    :param connection: its name in the error
    :param etag: to which the request was pinned, without quotes
    """
    error = _translate(refusal, bucket, connection, etag)
    error.key, error.request_id = key, request_id(refusal.headers)
    error.retry_after = retry_after(refusal.headers) if error.transient else None
    return error


def unreachable(error: BaseException, url: str, *, key: str, connection: str, is_known: bool) -> TransferError:
    """Return the error for a request that got no response.

    :param url: of the request; only its host is quoted
    :param is_known: whether the host has responded before
    """
    host = urlsplit(url).hostname or ""
    if not is_known and unresolved_host(error) == host:
        # After DNS has reported three times that the name does not exist, no later try would find it.
        return SourceReadError(
            f"S3 could not be reached: there is no host {host!r}; check region_name and endpoint_url of {connection}",
            key=key,
            transient=True,
            attempts=3,
            retryable=False,
        )
    message = f"S3 could not be reached at host {host}: {describe(error)} ({connection})"
    return SourceReadError(message, key=key, transient=True)


def unsigned(error: BotoCoreError | ClientError, *, bucket: str, connection: str) -> TransferError:
    """Return the error for a request that could not be signed: botocore has no credentials, or rejects the request."""
    if isinstance(error, ClientError):  # botocore calls STS, or CreateSession of a directory bucket
        refusal = Refusal.of_client_error(error)
        return translate(refusal, bucket=bucket, key=None, connection=connection)
    if isinstance(error, ParamValidationError | EndpointProviderError):
        return SourceReadError(f"not a request that S3 accepts: {quote_text(str(error))}", retryable=False)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SourceAccessDenied(f"{connection} has no credentials to sign with; enter login and password, or a role")
    return SourceReadError(f"{connection} gives no credentials to sign with: {describe(error)}", transient=True)


def _translate(refusal: Refusal, bucket: str, connection: str, etag: str | None) -> TransferError:
    status, code = refusal.status, refusal.code
    if status in (412, 416):
        how = f"its ETag is no longer {etag!r}" if status == 412 else "it no longer has the requested range"
        return SourceChanged(f"{refusal}: it changed: {how}; try again to copy the new version")
    if status in (301, 307) or code in _REGION_CODES:
        return _other_region(refusal, bucket, connection)
    if code == "AccessDenied" or (status in (401, 403) and code not in _RULES):
        return _access_denied(refusal, bucket, connection)
    if refusal.headers.get("x-amz-delete-marker") == "true":
        message = f"{refusal}: it was deleted: this version is a delete marker, which has no content"
        return SourceNotFound(message, bucket_exists=True)
    if code.startswith("KMS.") and code not in _RULES:
        return SourceAccessDenied(f"{refusal}: the KMS key it is encrypted with cannot be used{_quote(refusal)}")
    if status == 404 and code not in _RULES:
        return SourceNotFound(f"{refusal}: {_NO_KEY.format(connection=connection)}")
    if (rule := _RULES.get(code)) is not None:
        text = rule.remedy.format(bucket=bucket, connection=connection, clock=_clock_difference(refusal.headers))
        options = {"transient": status in TRANSIENT_STATUSES, **rule.options}
        return rule.kind(f"{refusal}: {text}{_quote(refusal) if code == 'InvalidRequest' else ''}", **options)
    return SourceReadError(
        f"{refusal}{_quote(refusal)}",
        transient=status in TRANSIENT_STATUSES,
        throttled=status in THROTTLED_STATUSES,
    )


def _other_region(refusal: Refusal, bucket: str, connection: str) -> TransferError:
    found = refusal.headers.get("x-amz-bucket-region", "")
    region = found if _REGION.fullmatch(found) else "another one"
    return SourceReadError(
        f"{refusal}: bucket {bucket!r} is in region {region}; set region_name in the extra of {connection}",
        retryable=False,
    )


def _access_denied(refusal: Refusal, bucket: str, connection: str) -> TransferError:
    text = refusal.message.lower()
    usual = "s3express:CreateSession" if is_directory_bucket(bucket) else "s3:GetObject"
    permission = _PERMISSIONS.get(refusal.operation, usual)
    if "kms:" in text:
        remedy = f"{connection} needs kms:Decrypt, in IAM and in the policy of the KMS key it is encrypted with"
    elif "expired" in text or "not yet valid" in text or "not valid yet" in text:
        remedy = f"the presigned URL was not valid when S3 checked it{_clock_difference(refusal.headers)}"
    elif "explicit deny" in text:
        remedy = (
            "a policy of the bucket, the VPC endpoint or the organization denies it; conditions on s3:authType or "
            "s3:signatureAge refuse presigned URLs, on aws:SourceIp or aws:SourceVpce other networks"
        )
    else:
        remedy = f"{connection} needs {permission} here"
        if permission == "s3:GetObject":
            remedy += (
                " (s3:GetObjectVersion for versions, kms:Decrypt for KMS keys), and s3:ListBucket to tell a missing "
                "key from a forbidden one. If it has them, the bucket's policy may refuse presigned URLs (s3:authType)"
            )
        remedy += _clock_difference(refusal.headers)
    # An unknown code is final. A HEAD has no code, and an expired URL is also AccessDenied.
    options = _TWICE if refusal.code in ("", "AccessDenied") else _NONE
    return SourceAccessDenied(f"{refusal}: {remedy}{_quote(refusal)}", **options)


def _quote(refusal: Refusal) -> str:
    return f' (S3: "{refusal.message}")' if refusal.message else ""


def _clock_difference(headers: Mapping[str, str]) -> str:
    """Return a note on how far this machine's clock is from S3's; empty if it is not far."""
    theirs = http_date(headers.get("date"))
    if theirs is None:
        return ""
    seconds = (datetime.now(UTC) - theirs).total_seconds()
    if abs(seconds) < _CLOCK_LIMIT:
        return ""
    return f" (the clock of this worker is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} S3's)"
