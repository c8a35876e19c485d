"""The fault proxy itself."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.faults.proxy import shut_down

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority


def test_a_connection_that_is_shut_down_before_its_handshake_fails_with_an_os_error(
    certificate_authority: CertificateAuthority,
) -> None:
    """As when the proxy ends while another thread has just accepted a client; that thread expects nothing else."""
    near, far = socket.socketpair()
    with (
        far,
        certificate_authority.server_context().wrap_socket(
            near, server_side=True, do_handshake_on_connect=False
        ) as secured,
    ):
        shut_down(secured)
        with pytest.raises(OSError, match=r"EOF|closed|pipe"):
            secured.do_handshake()
