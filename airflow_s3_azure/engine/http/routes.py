"""How the requests for one origin travel: directly, through a tunnel, or forwarded by a proxy.

`requests` decides (proxies, ``NO_PROXY``, CA bundles, client certificates), once per origin; `urllib3` opens each
connection (proxy, tunnel, TLS, timeouts).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from airflow_s3_azure.engine.http.connection import Connection
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES

_THROTTLING = THROTTLED_STATUSES | {500}
"""Responses after which the next large body waits for an invitation, as in Azure's .NET, Java and Go SDKs."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(slots=True)
class Route:
    """How one origin is reached, and its idle connections.

    :param fields: header fields of every request
    :param is_forwarded: whether a proxy expects the whole URL on the request line
    :param asks_first: whether a large body is to wait until the origin invites it: from a throttling response until the
        origin accepts such a request
    """

    fields: dict[str, str]
    is_forwarded: bool
    _pool: HTTPConnectionPool
    asks_first: bool = False
    _knows_expect: bool = True
    _idle: list[Connection] = field(default_factory=list)

    def note_status(self, status: int, *, is_expecting: bool) -> None:
        """Learn from a response whether the next large body should wait for an invitation.

        A 417 comes from a server or proxy that does not know ``Expect``; it is not asked again (RFC 9110, 15.5.18).
        """
        if status == 417 and is_expecting:
            self._knows_expect = False
        if status in _THROTTLING:
            self.asks_first = self._knows_expect
        elif is_expecting:
            self.asks_first = False

    def take(self) -> Connection | None:
        """Return an idle connection that the server keeps open, if there is one. The caller owns it."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_reusable():
                return connection
            connection.close()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
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
            with suppress(IndexError):  # another thread took it
                self._idle.pop().close()


class RouteFinder(HTTPAdapter):
    """Finds routes by a session's settings."""

    def find(self, session: requests.Session, origin: str) -> Route:
        """Return the route to an origin, as ``https://host:port``. Opens nothing.

        :raises OSError: if the URL, or the CA bundle, cannot be used
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
        parts = urlsplit(origin)
        # In lower case, as SigV4 signs it.
        host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, "/"))
        is_forwarded = pool.proxy is not None and parts.scheme == "http"
        fields = {"Host": host, "User-Agent": str(session.headers.get("User-Agent", ""))}
        return Route(fields | (pool.proxy_headers if is_forwarded else {}), is_forwarded, pool)
