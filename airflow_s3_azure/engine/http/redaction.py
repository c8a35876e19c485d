"""Redacts credentials in the logs and errors of other libraries.

A presigned URL and a SAS are credentials. The HTTP libraries log the URL of each request at DEBUG, and an SDK quotes the
URL from which it cannot make a client.
"""

from __future__ import annotations

import logging
import re

from airflow_s3_azure.engine.quoting import quote_text

_SECRET = re.compile(
    r"(?i)\b(x-amz-signature|x-amz-credential|x-amz-security-token|awsaccesskeyid|accountkey|signature|sig)=[^&\s\"']+"
)
_LOGIN = re.compile(r"(?is)(https?:/*).*@|[^\s\"'/]+:[^\s\"']*@")
"""User and password in a URL, which may be mistyped, or in its host. It takes too much rather than too little."""
_MATCHED = 4_000
"""Characters of an error that are searched, which takes quadratic time."""
_SILENT_LOGGERS = ("botocore.auth", "botocore.endpoint", "botocore.parsers")
"""At DEBUG they log signatures, session tokens and whole responses of STS, in many forms."""
_REDACTED_LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry", "botocore.awsrequest")


def redact(text: str) -> str:
    """Return a text without the values of signatures, keys and tokens in its URLs."""
    return _SECRET.sub(r"\1=***", text)


def quote_error(error: Exception) -> str:
    """Return the text of another library's error as one line, without the credentials of a URL in it."""
    return quote_text(_LOGIN.sub(r"\1***@", redact(str(error)[:_MATCHED])), 300)


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
