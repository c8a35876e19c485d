"""Amazon S3, as LocalStack serves it, with presigned URLs checked; and what all servers share that speak S3."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.environment import ENVIRONMENT, PYTHON
from tests.servers.process import ServerProcess, Startable, child_environment, free_port

_START_SECONDS = 60.0


class S3Endpoint(Startable):
    """A server that speaks S3, on a port of 127.0.0.1, with one access key."""

    region = "eu-west-1"
    process: ServerProcess
    ca_bundle: Path | None = None
    """What its certificate is verified with, where it is reached over TLS."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.access_key = "TEST" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_urlsafe(30)

    def client(self, **config: Any) -> BaseClient:
        """Return a boto3 S3 client; `config` goes to botocore's Config."""
        defaults: dict[str, Any] = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}}
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            verify=None if self.ca_bundle is None else str(self.ca_bundle),
            config=Config(**{**defaults, **config}),
        )

    def airflow_connection(self) -> dict[str, Any]:
        """Return the Airflow connection to this server, for `json.dumps` into AIRFLOW_CONN_<ID>."""
        extra = {"endpoint_url": self.endpoint_url, "region_name": self.region}
        if self.ca_bundle is not None:
            extra["verify"] = str(self.ca_bundle)
        return {"conn_type": "aws", "login": self.access_key, "password": self.secret_key, "extra": extra}

    def start(self) -> None:
        """Start the server and wait until it lists its buckets."""
        probe = self.client(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
        self.process.start(lambda: _lists_buckets(probe), within=_START_SECONDS)

    def stop(self) -> None:
        """Stop the server."""
        self.process.stop()


class S3Server(S3Endpoint):
    """A private S3; `directory` gets its files (`s3/`) and its log (`s3.log`).

    A presigned URL that has expired or has a wrong signature gets 403; any access key is good with the
    right secret. Requests signed in their headers are *not* checked: LocalStack lets unsigned ones and wrong
    secrets through. Objects are lost when the server stops; the port stays the same if it is started again.

    :param services: of AWS, by LocalStack's names; those beside S3 have no class of their own here
    """

    def __init__(self, directory: Path, services: tuple[str, ...] = ("s3",)) -> None:
        super().__init__()
        self._services = services
        self.log = directory / "s3.log"
        self._files = directory / "s3"
        self.process = ServerProcess(
            "S3 (LocalStack)",
            # -P: the script's folder does not go on the path.
            [str(PYTHON), "-P", str(ENVIRONMENT / "serve_s3.py")],
            directory=self._files,
            environment=self._environment(),
            log=self.log,
        )

    def start(self) -> None:
        """Start the server and wait until it lists its buckets."""
        (self._files / "tmp").mkdir(parents=True, exist_ok=True)
        super().start()

    def _environment(self) -> dict[str, str]:
        return child_environment(
            S3_SECRET=self.secret_key,
            GATEWAY_LISTEN=f"127.0.0.1:{self.port}",
            SERVICES=",".join(self._services),
            EAGER_SERVICE_LOADING="1",
            S3_SKIP_SIGNATURE_VALIDATION="0",
            # Nothing from outside, no analytics, no DNS server.
            SKIP_SSL_CERT_DOWNLOAD="1",
            DISABLE_EVENTS="1",
            DNS_ADDRESS="0",
            # Objects, certificates and the entry-point cache of plux (else in ~/.cache).
            FILESYSTEM_ROOT=str(self._files),
            TMPDIR=str(self._files / "tmp"),
            XDG_CACHE_HOME=str(self._files / "cache"),
        )


def _lists_buckets(client: BaseClient) -> bool:
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True
