"""Routes to origins: direct, through a tunnel, or forwarded by a proxy.

`requests` resolves the settings once per origin (proxies, ``NO_PROXY``, CA bundles, client certificates); `urllib3` opens
each connection (proxy, tunnel, TLS, timeouts).
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from airflow_s3_azure.engine.http.connection import Connection
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES

_THROTTLING = THROTTLED_STATUSES | {500}
"""Responses after which the next large body waits for 100 Continue, as in Azure's .NET, Java and Go SDKs."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(slots=True)
class Route:
    """The route to one origin, and its idle connections.

    :param fields: header fields of every request
    :param is_forwarded: whether a proxy expects the whole URL on the request line
    :param expects_continue: whether a large body waits for 100 Continue: from a throttling response until the origin
        accepts such a request
    """

    fields: dict[str, str]
    is_forwarded: bool
    _pool: HTTPConnectionPool
    expects_continue: bool = False
    _supports_expect: bool = True
    _idle: list[Connection] = field(default_factory=list)

    def record_status(self, status: int, *, is_expecting: bool) -> None:
        """Record from a response whether the next large body waits for 100 Continue.

        A 417 comes from a server or proxy that does not support ``Expect``; no later request has it (RFC 9110, 15.5.18).
        """
        if status == 417 and is_expecting:
            self._supports_expect = False
        if status in _THROTTLING:
            self.expects_continue = self._supports_expect
        elif is_expecting:
            self.expects_continue = False

    def take(self) -> Connection | None:
        """Return a reusable idle connection, if there is one. The caller owns it."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_reusable():
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Return a connection to the pool. The caller no longer owns it."""
        self._idle.append(connection)

    def open(self, connect_timeout: float, read_timeout: float) -> Connection:
        """Open a connection.

        :raises OSError: if that fails
        """
        opened = self._pool._new_conn()  # noqa: SLF001 - urllib3 has no public call that opens a connection without a request
        opened.timeout = connect_timeout
        try:
            if self._pool.proxy is not None and not self.is_forwarded:
                self._pool._prepare_proxy(opened)  # noqa: SLF001 - as above; it connects through a tunnel
            else:
                opened.connect()
            if not isinstance(opened, HTTPConnection) or opened.sock is None:
                raise ConnectionError("no connection was opened")
            opened.sock.settimeout(read_timeout)
        except HTTPError as error:
            opened.close()
            raise ConnectionError("no connection was opened") from error
        except BaseException:
            opened.close()
            raise
        return Connection(opened.sock, read_timeout)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                self._idle.pop().close()


class RouteFinder(HTTPAdapter):
    """Resolves routes from a session's settings."""

    def find(self, session: requests.Session, origin: str) -> Route:
        """Return the route to an origin, such as ``https://host:port``. No connection is opened.

        :raises OSError: if the URL or the CA bundle is not usable
        """
        request = requests.Request("GET", origin + "/").prepare()
        url = str(request.url)
        # The session's settings come before the environment's.
        settings = session.merge_environment_settings(url, dict(session.proxies), True, session.verify, session.cert)
        verify, cert = settings["verify"], settings["cert"]
        try:
            pool: Any = self.get_connection_with_tls_context(request, verify, proxies=settings["proxies"], cert=cert)
        except HTTPError as error:
            raise ConnectionError("the URL of the host, or of its proxy, cannot be used") from error
        self.cert_verify(pool, url, verify, cert)  # type: ignore[no-untyped-call, unused-ignore]
        _share_context(pool)
        parts = urlsplit(origin)
        # In lower case, as SigV4 signs it.
        host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "/"))
        is_forwarded = pool.proxy is not None and parts.scheme == "http"
        fields = {"Host": host, "User-Agent": str(session.headers.get("User-Agent", ""))}
        return Route(fields | (pool.proxy_headers if is_forwarded else {}), is_forwarded, pool)


def _share_context(pool: HTTPConnectionPool) -> None:
    """Let all connections of a pool share one TLS context.

    Otherwise `urllib3` reads the CA bundle for each of them: more than 10 ms of CPU for that of `certifi`. Where there is a
    client certificate, or a proxy is reached over TLS, it needs the files.
    """
    if not isinstance(pool, HTTPSConnectionPool) or pool.cert_reqs != "CERT_REQUIRED":
        return
    if pool.cert_file or (pool.proxy is not None and pool.proxy.scheme == "https"):
        return
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(pool.ca_certs, pool.ca_cert_dir)
    pool.conn_kw["ssl_context"] = context
    pool.ca_certs = pool.ca_cert_dir = None
