"""Redacts credentials in the logs of the HTTP libraries.

A presigned URL and a SAS are credentials, and the libraries log the URL of each request at DEBUG.
"""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"(?i)\b(x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|signature|sig)=[^&\s\"']+"
)
_SILENT_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""At DEBUG they log signatures, session tokens and whole responses of STS, in many forms."""
_REDACTED_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "botocore.awsrequest")


def redact(text: str) -> str:
    """Return a text without the values of signatures, keys and tokens in its URLs."""
    return _SECRET.sub(r"\1=***", text)


def redact_http_logs() -> None:
    """Redact signatures and tokens in the DEBUG logs of urllib3 and botocore. Idempotent.

    The DEBUG logs of botocore's signer, endpoints and parsers are dropped.
    """
    for name in (*_SILENT_LOGGERS, *_REDACTED_LOGGERS):
        logger = logging.getLogger(name)
        if _redact not in logger.filters:
            logger.addFilter(_redact)


def _redact(record: logging.LogRecord) -> bool:
    if record.name in _SILENT_LOGGERS:
        return record.levelno > logging.DEBUG
    record.msg, record.args = redact(record.getMessage()), ()
    return True
