"""Translates what fails while ``S3Hook`` and boto3 read an AWS connection: a broken connection, or an outage."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import requests
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from airflow_s3_azure.engine.errors import ConfigurationError, SourceReadError
from airflow_s3_azure.engine.http.redaction import quote_error
from airflow_s3_azure.engine.http.status import TRANSIENT_STATUSES

MISSING_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""Errors of a file that no later try can read, unlike other OSErrors."""
BROKEN = (
    BotoCoreError,
    ClientError,
    AirflowException,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
)
"""What ``S3Hook`` and boto3 raise for a connection of which they can make no client."""
_GUIDE = "https://airflow.apache.org/docs/apache-airflow-providers-amazon/stable/connections/aws.html"
_TRANSIENT_BOTO = (BotoConnectionError, HTTPClientError, CredentialRetrievalError, MetadataRetrievalError)


def no_client(error: Exception, connection: str, bucket: str) -> ConfigurationError | SourceReadError:
    """Return the error for a connection of which no client can be made. Only an outage is retryable."""
    if _is_transient(error):
        message = f"could not create an S3 client from {connection} ({type(error).__name__})"
        return SourceReadError(message, key=f"s3://{bucket}")
    return ConfigurationError(f"could not create an S3 client from {connection}: {_problem(error)}")


def check_token_file(role: Any, connection: str) -> None:
    """Check that a connection's web-identity token can be read. Otherwise only the first request would fail, for each key.

    :param role: the hook's ``AwsConnectionWrapper``
    :raises ConfigurationError: if the file is not named, or cannot be read
    """
    extra = role.extra_config
    if (
        role.role_arn is None
        or role.assume_role_method != "assume_role_with_web_identity"
        or extra.get("assume_role_with_web_identity_federation") != "file"
    ):
        return
    name = "assume_role_with_web_identity_token_file"
    path = extra.get(name) or os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
    if not path:
        raise ConfigurationError(
            f"the extra of {connection} has no {name}, and AWS_WEB_IDENTITY_TOKEN_FILE is not set on this worker"
        )
    try:
        with Path(path).open("rb"):
            pass
    except MISSING_FILE as error:
        raise ConfigurationError(
            f"the {name} of {connection} cannot be read on this worker: {path!r}: {error.strerror}"
        ) from None


def _problem(error: Exception) -> str:
    if isinstance(error, ParamValidationError):
        return re.sub(r"value: .*?, (?=type|valid)", "", quote_error(error))  # such as an ExternalId
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename!r}: {error.strerror}"
    if isinstance(error, LookupError):
        return f"its extra has no field {quote_error(error)}"
    if isinstance(error, TypeError | AttributeError):
        return f"its extra is not valid ({quote_error(error)}); {_GUIDE} describes config_kwargs and its other fields"
    return quote_error(error)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status in TRANSIENT_STATUSES or "Throttl" in error.response.get("Error", {}).get("Code", "")
    if isinstance(error, requests.RequestException):  # of a SAML identity provider; a ValueError: its URL is none
        return not isinstance(error, ValueError)
    return isinstance(error, _TRANSIENT_BOTO) or (isinstance(error, OSError) and not isinstance(error, MISSING_FILE))
