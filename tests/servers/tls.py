"""Certificates for servers on this machine, from a certificate authority that every test run makes for itself.

Clients verify them against its bundle through their ordinary settings: `verify` of an AWS connection,
`connection_verify` of a wasb connection, `REQUESTS_CA_BUNDLE`, `session.verify`.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class CertificateAuthority:
    """Signs certificates of `127.0.0.1`, `::1` and `localhost`; `directory` gets its own (`ca.pem`)."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.bundle = directory / "ca.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        self._certificate = authority.issue_cert("127.0.0.1", "::1", "localhost")

    def server_context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return what a server wraps its connections with.

        :param version: the only TLS version that it accepts; None: 1.2 and 1.3
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = version or ssl.TLSVersion.TLSv1_2
        if version is not None:
            context.maximum_version = version
        self._certificate.configure_cert(context)
        return context
