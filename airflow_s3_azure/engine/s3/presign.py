"""Presigns URLs exactly as botocore does, at a tenth of the cost.

Theory of operation: a *form* is an operation and the names of its parameters. For each form, botocore signs the first URL,
and one for a difficult key. This module signs the same two; only if both are equal, character by character, it signs the
further URLs of the form. So botocore decides everything about a URL (addressing style, endpoint, region, dual stack, access
points, session tokens, event handlers of the client). A form that this module does not support (SigV2, SigV4A, S3
Express) is signed by botocore each time.

All URLs that are signed within one second have the same time, so they share all but the key and the values of the
parameters.

Invariants: a form is learned once, under a lock, and never changes. The credentials are read from the client's own signer
in each second, so a URL is signed with refreshed ones at most a second later. botocore refreshes them minutes before they
expire.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.params import SIGNED_HEADERS, Operation, Params

log = get_logger(__name__)

_KNOWN_VERSION = "s3v4-query"
_METHODS = {"get_object": "GET", "head_object": "HEAD"}
_QUERY = {"VersionId": "versionId", "PartNumber": "partNumber"}
_UNRESERVED = "-_.~"
_PROBE_KEY = "/~a b//../%2F+\u00fc?#&=;@!$'()*,.\U0001f600/"
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Credentials:
    """Secrets that sign a URL. Their repr hides them."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "_Credentials(***)"


@dataclass(frozen=True, slots=True)
class _Form:
    """The common part of the URLs of one form.

    :param prefix: the URL up to the key
    :param scope: region, service and ``aws4_request``
    :param fields: names in the query, in the order in which botocore writes them
    :param headers: parameters that are signed as headers, by the headers' names in lower case, sorted
    :param has_query: whether a parameter is in the query
    """

    method: str
    prefix: str
    host: str
    path: str
    scope: tuple[str, str, str]
    expires: str
    fields: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    has_query: bool


class _Signer:
    """Signs the URLs of one form that have the same time.

    :param stamp: the time, as ``20260101T000000Z``
    """

    def __init__(self, form: _Form, credentials: _Credentials, stamp: str) -> None:
        scope = "/".join((stamp[:8], *form.scope))
        signed_headers = ("host", *(header for header, _ in form.headers))
        self._form = form
        self._mac = hmac.new(_day_key(credentials.secret_key, stamp[:8], form.scope), digestmod="sha256")
        self._values = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": quote(f"{credentials.access_key}/{scope}", safe=_UNRESERVED),
            "X-Amz-Date": stamp,
            "X-Amz-Expires": form.expires,
            "X-Amz-SignedHeaders": "%3B".join(signed_headers),
        }
        if credentials.token is not None:
            self._values["X-Amz-Security-Token"] = quote(credentials.token, safe=_UNRESERVED)
        self._to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n"
        self._end = f"\n\n{';'.join(signed_headers)}\nUNSIGNED-PAYLOAD"
        self._query = self._query_of({})

    def sign(self, params: Params) -> str:
        """Return a URL."""
        form = self._form
        query, ordered = self._query_of(params) if form.has_query else self._query
        path = quote(str(params["Key"]), safe="/~")
        headers = "".join([f"\n{header}:{params[name]}" for header, name in form.headers])
        canonical = f"{form.method}\n{form.path}{path}\n{ordered}\nhost:{form.host}{headers}{self._end}"
        text = self._to_sign + sha256(canonical.encode()).hexdigest()
        mac = self._mac.copy()  # not hmac.digest(), which lets other threads run: that costs more than the digest
        mac.update(text.encode())
        return f"{form.prefix}{path}?{query}&X-Amz-Signature={mac.hexdigest()}"

    def _query_of(self, params: Params) -> tuple[str, str]:
        """Return the query as botocore writes it, and as it is signed: sorted."""
        values = dict(self._values)
        for name, field in _QUERY.items():
            if name in params:
                values[field] = quote(str(params[name]), safe=_UNRESERVED)
        pairs = [f"{field}={values[field]}" for field in self._form.fields if field in values]
        return "&".join(pairs), "&".join(sorted(pairs))


class Presigner:
    """Presigns requests for the objects of one bucket. Called from several threads.

    :param client: a boto3 S3 client
    :param seconds: lifetime of a URL
    :param clock: seconds since the epoch
    """

    def __init__(self, client: Any, bucket: str, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._bucket = bucket
        self._seconds = seconds
        self._clock = clock
        self._learning = threading.Lock()
        self._forms: dict[tuple[str, ...], _Form | None] = {}
        self._attempts: dict[tuple[str, ...], int] = {}
        self._signer: Any = None
        self._region = ""
        self._signers: dict[tuple[str, ...], tuple[int, _Signer]] = {}

    def __call__(self, operation: Operation, params: Params) -> str:
        """Return a URL for a boto3 S3 operation with these parameters.

        :raises botocore.exceptions.BotoCoreError: if there are no credentials
        """
        name = (operation, *params)
        form = self._forms.get(name)
        if form is None:
            if name in self._forms:
                return self._sign_with_botocore(operation, params)
            with self._learning:
                return self._learn(name, operation, params)
        for _, parameter in form.headers:
            if _is_trimmed(params[parameter]):
                return self._sign_with_botocore(operation, params)
        second = int(self._clock())
        signed_at, signer = self._signers.get(name, (None, None))
        if signer is None or signed_at != second:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            signer = _Signer(form, self._credentials(), stamp)
            self._signers[name] = second, signer
        return signer.sign(params)

    def _sign_with_botocore(self, operation: Operation, params: Params) -> str:
        return str(self._client.generate_presigned_url(operation, {"Bucket": self._bucket, **params}, self._seconds))

    def _credentials(self) -> _Credentials:
        found = self._signer.get_auth_instance("s3", self._region, _KNOWN_VERSION).credentials
        return _Credentials(found.access_key, found.secret_key, found.token)

    def _learn(self, name: tuple[str, ...], operation: Operation, params: Params) -> str:
        """Return botocore's URL, and learn the form of it."""
        if operation not in _METHODS or not set(params) <= {"Key", *SIGNED_HEADERS, *_QUERY}:
            self._forms[name] = None
            return self._sign_with_botocore(operation, params)
        events_seen: list[dict[str, Any]] = []

        def record(**event: Any) -> None:
            events_seen.append(event)

        events = self._client.meta.events
        events.register_last("before-sign.s3", record)
        try:
            url = self._sign_with_botocore(operation, params)
            probe = {**params, "Key": _PROBE_KEY}
            probe_url = self._sign_with_botocore(operation, probe)
        finally:
            events.unregister("before-sign.s3", record)
        form = None
        if events_seen and events_seen[0].get("signature_version") == _KNOWN_VERSION:
            self._signer, self._region = events_seen[0]["request_signer"], str(events_seen[0]["region_name"])
            form = _form_of(operation, params, url)
        if form is not None:
            credentials = self._credentials()
            for known, wanted in ((url, params), (probe_url, probe)):
                if form is not None and _Signer(form, credentials, _stamp_of(known)).sign(wanted) != known:
                    form = None
        # Credentials may have been refreshed between the two: a form is given up only after several attempts.
        self._attempts[name] = self._attempts.get(name, 0) + 1
        if form is not None or self._attempts[name] >= _ATTEMPTS:
            self._forms[name] = form
            log.debug(
                "%s with %s: signed %s", operation, ", ".join(params), "here" if form else "by botocore each time"
            )
        return url


def _form_of(operation: Operation, params: Params, url: str) -> _Form | None:
    """Return the form of a URL that botocore signed, or None if it is not supported."""
    parts = urlsplit(url)
    fields = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
    object_path = quote(str(params["Key"]), safe="/~")
    scope = unquote(fields.get("X-Amz-Credential", "")).rsplit("/", 4)
    if not parts.path.endswith(object_path) or len(scope) != 5 or parts.hostname is None:
        return None
    path = parts.path.removesuffix(object_path)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.port is not None and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host += f":{parts.port}"
    names = [field for field in fields if field != "X-Amz-Signature"]
    return _Form(
        method=_METHODS[operation],
        prefix=f"{parts.scheme}://{parts.netloc}{path}",
        host=host,
        path=path,
        scope=(scope[2], scope[3], scope[4]),
        expires=fields.get("X-Amz-Expires", ""),
        fields=tuple(names),
        headers=tuple(sorted((SIGNED_HEADERS[name].lower(), name) for name in params if name in SIGNED_HEADERS)),
        has_query=not _QUERY.keys().isdisjoint(params),
    )


def _stamp_of(url: str) -> str:
    return url.partition("X-Amz-Date=")[2][:16]


def _is_trimmed(value: str | int | list[str]) -> bool:
    """Return whether SigV4 normalizes a header value, so that the signed value differs from the sent one (whitespace)."""
    text = str(value)
    return text != " ".join(text.split())


def _day_key(secret: str, day: str, scope: tuple[str, str, str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, *scope):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
