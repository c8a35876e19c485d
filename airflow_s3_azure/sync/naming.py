"""From an S3 key to a blob name, and the names that Azure cannot hold. Pure.

https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_s3_azure.stream.errors import ConfigurationError

MAX_NAME = 1024
"""Characters in a blob name."""
MAX_SEGMENTS = 254
"""Path segments, that is parts between slashes, in a blob name."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Naming:
    """How keys become blob names: cut ``strip_prefix`` off the front, put ``blob_prefix`` before the rest.

    Both are plain text, not folders: write the slash where one is meant.
    """

    blob_prefix: str = ""
    strip_prefix: str = ""

    def name(self, key: str) -> str:
        """Return the blob name for a key. Different keys that begin with ``strip_prefix`` get different names.

        :raises ConfigurationError: if the key does not begin with ``strip_prefix``
        """
        if not key.startswith(self.strip_prefix):
            raise ConfigurationError(f"key {key!r} does not begin with strip_prefix {self.strip_prefix!r}")
        return self.blob_prefix + key[len(self.strip_prefix) :]


def why_refused(name: str) -> str | None:
    """Return why Azure cannot hold a blob under exactly this name, or None if it can."""
    if not name:
        return "a blob name cannot be empty"
    if len(name) > MAX_NAME:
        return f"a blob name has at most {MAX_NAME} characters; this one has {len(name)}"
    if _CONTROL.search(name):
        return "Azure takes no control characters in a blob name"
    if name.endswith((".", "/")):
        return f"a blob name cannot end with {name[-1]!r}"
    if "\\" in name:
        return "Azure turns a backslash in a blob name into a slash"
    segments = name.split("/")
    if len(segments) > MAX_SEGMENTS:
        return f"a blob name has at most {MAX_SEGMENTS} path segments; this one has {len(segments)}"
    if any(segment in (".", "..") for segment in segments):
        return "Azure resolves the path segments '.' and '..' in a blob name"
    if any(segment.endswith(".") for segment in segments):
        return "Azure drops the dot at the end of a path segment"
    return None
