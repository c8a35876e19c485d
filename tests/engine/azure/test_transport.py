"""azure-core's requests over our connections, against a server that sends what a test scripts."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.pipeline.transport import HttpRequest

from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from tests.fakes.scripted_server import EMPTY, ScriptedServer
from tests.servers.tls import CertificateAuthority

KIB = 1024


@pytest.mark.parametrize(
    ("method", "status", "size"),
    [("GET", 200, 1024 * KIB), ("GET", 503, 64 * KIB), ("PUT", 409, 64 * KIB), ("PUT", 200, 64 * KIB)],
    ids=["a block list", "an error of a GET", "an error of a PUT", "a page of a proxy"],
)
def test_only_a_block_list_may_be_long(method: str, status: int, size: int) -> None:
    """Of any other body no more than 64 KiB are held in memory, per worker."""
    body = bytes(1024 * KIB)
    with closing(
        ScriptedServer(b"HTTP/1.1 %d A\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    ) as server:
        session = requests.Session()
        session.trust_env = False
        with ConnectionsTransport(Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)) as transport:
            response = transport.send(HttpRequest(method, server.url))

    assert (response.status_code, len(response.content)) == (status, size)


class _Tokens:
    """A credential that records the requested claims."""

    def __init__(self) -> None:
        self.claims: list[Any] = []

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        """Return a new token."""
        assert scopes == ("scope",)
        self.claims.append(claims)
        return AccessToken(f"token{len(self.claims)}", 2**33)


def test_a_challenge_for_claims_is_handled_by_azure_cores_own_policy(tmp_path: Path) -> None:
    """A token is reused from request to request, and requested again when Azure wants another one."""
    refusal = (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="'
        b"\r\nContent-Length: 2\r\n\r\nno"
    )
    authority = CertificateAuthority(tmp_path)
    session = requests.Session()
    session.trust_env = False
    session.verify = str(authority.bundle)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)
    tokens = _Tokens()

    with (
        closing(ScriptedServer(EMPTY, EMPTY, refusal, EMPTY, context=authority.server_context())) as server,
        Pipeline[HttpRequest, Any](
            ConnectionsTransport(connections), [BearerTokenCredentialPolicy(tokens, "scope")]
        ) as pipeline,
    ):
        found = [pipeline.run(HttpRequest("PUT", server.url)).http_response.status_code for _ in range(3)]

    assert found == [200, 200, 200]
    assert [re.search("Bearer (.*)", head)[1] for head in server.heads] == ["token1", "token1", "token1", "token2"]  # type: ignore[index]
    assert tokens.claims == [None, '{"a":1}']
