"""A container whose responses are scripted: for what neither Azurite nor Azure can be made to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any, Self

from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import HttpTransport

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ReadResponse
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.message import Headers

AZURE = {"x-ms-request-id": "2a7b-1", "x-ms-version": "2023-11-03", "date": formatdate(usegmt=True)}
"""What every response of Azure has."""
URL = "https://account.blob.core.windows.net/container"


def response(status: int, headers: Mapping[str, str] | None = None, content: bytes = b"", reason: str = "") -> Any:
    """Return a response of exactly these headers."""
    return ReadResponse(
        status, reason, Headers({name.lower(): value for name, value in (headers or {}).items()}), content
    )


def azure_response(status: int, headers: Mapping[str, str] | None = None, content: bytes = b"") -> Any:
    """Return a response with the headers of every response of Azure, and these."""
    return response(status, {**AZURE, **(headers or {})}, content)


class ScriptedTransport(HttpTransport[Any, Any]):
    """Returns scripted responses in order, the last one again and again; keeps the requests."""

    def __init__(self, *script: Any | Callable[[Any], Any]) -> None:
        self.script = list(script)
        self.requests: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Open nothing."""

    def close(self) -> None:
        """Close nothing."""

    def send(self, request: Any, **_: Any) -> Any:
        """Return the next response."""
        self.requests.append(request)
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


def scripted(
    *script: Any, sas: str = "", policies: tuple[Any, ...] = (), scope: str | None = None
) -> tuple[BlobContainer, ScriptedTransport]:
    """Return a container that responds as scripted, and its transport."""
    transport = ScriptedTransport(*script)
    pipeline: Pipeline[Any, Any] = Pipeline(transport, policies)
    return BlobContainer(ContainerAddress(URL, sas), pipeline, Cancellation(), scope), transport
