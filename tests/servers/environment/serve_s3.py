"""Run LocalStack's S3 with the secret that presigned URLs are checked against taken from S3_SECRET.

Runs in the environment's own Python. LocalStack 4.13 computes a presigned URL's expected signature with a
secret it picks by access key (localstack/services/s3/presigned_url.py, get_credentials_from_parameters): the
one that its IAM service issued for the key if moto is installed (base-runtime leaves it out), else, whatever
the key, the constant "test". A constant is no secret that a test could look for in logs, so each
server gets one of its own.
"""

from __future__ import annotations

import os

from localstack.services.s3 import constants

# Before anything imports presigned_url, which copies the constant's value.
constants.DEFAULT_PRE_SIGNED_SECRET_ACCESS_KEY = os.environ["S3_SECRET"]

from localstack.runtime.main import main  # noqa: E402

main()
