"""Azure Blob Storage, as Azurite serves it."""

from __future__ import annotations

import base64
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.servers.environment import NODE_MODULES, node_home
from tests.servers.process import ServerProcess, Startable, child_environment, free_port

_START_SECONDS = 60.0


class AzureServer(Startable):
    """A private blob account; `directory` gets its blobs (`azure/`) and its access log (`azure.log`).

    The key is made for this server alone. With `debug`, Azurite writes what it does, with all headers, to
    `azure.debug.log`: about 7 kB per request. Blobs outlive a stop and a new start, and so does the port.
    """

    def __init__(self, directory: Path, *, debug: bool = False) -> None:
        self.account = "devstoreaccount1"
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/{self.account}"
        self.ca_bundle: Path | None = None
        """What its certificate is verified with, where it is reached over TLS."""
        self.connection_string = (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.endpoint};"
        )
        self.log = directory / "azure.log"
        options = ["--debug", str(directory / "azure.debug.log")] if debug else []
        self.process = ServerProcess(
            "Azure (Azurite)",
            [
                str(node_home() / "bin" / "node"),
                str(NODE_MODULES / "azurite" / "dist" / "src" / "blob" / "main.js"),
                *("--blobHost", "127.0.0.1", "--blobPort", str(self.port)),
                *("--location", str(directory / "azure"), "--disableTelemetry"),
                # azure-storage-blob uses API versions that are newer than the newest Azurite.
                "--skipApiVersionCheck",
                *options,
            ],
            directory=directory / "azure",
            environment=child_environment(AZURITE_ACCOUNTS=f"{self.account}:{self.key}"),
            log=self.log,
        )

    def start(self) -> None:
        """Start the server and wait until it returns the account's properties."""
        probe = self.service_client(retry_total=0, connection_timeout=1, read_timeout=5)
        self.process.start(lambda: _returns_properties(probe), within=_START_SECONDS)

    def stop(self) -> None:
        """Stop the server; its blobs stay in the directory."""
        self.process.stop()

    def service_client(self, **options: Any) -> BlobServiceClient:
        """Return a client of the account; `options` go to BlobServiceClient."""
        options = {**self._tls_options(), **options}
        return BlobServiceClient(self.endpoint, credential=self.key, **options)

    def container_client(self, name: str, create: bool = True) -> ContainerClient:
        """Return a client of a container, which is made if it is missing unless `create` is False."""
        container = self.service_client().get_container_client(name)
        if create:
            with suppress(ResourceExistsError):
                container.create_container()
        return container

    def airflow_connection(self) -> dict[str, Any]:
        """Return the Airflow connection to this server, for `json.dumps` into AIRFLOW_CONN_<ID>."""
        connection = {"conn_type": "wasb", "host": self.endpoint, "login": self.account, "password": self.key}
        return {**connection, "extra": options} if (options := self._tls_options()) else connection

    def _tls_options(self) -> dict[str, Any]:
        return {} if self.ca_bundle is None else {"connection_verify": str(self.ca_bundle)}


def _returns_properties(client: BlobServiceClient) -> bool:
    try:
        client.get_service_properties()
    except AzureError:
        return False
    return True
