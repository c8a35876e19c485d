"""The blob names that Azure accepts, and those that this package may use. Pure.

Names come from S3 keys, run conf and files in the container, so they are untrusted. A name with dot segments leaves its
container: HTTP libraries resolve them before they send the request. Names below :data:`RESERVED` hold the records of
syncs: manifests, ledgers, deletion lists.

https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
"""

from __future__ import annotations

import re
from urllib.parse import unquote

RESERVED = "_s3_to_azure"
"""The first path segment of the records of syncs. No data is copied or deleted below it."""
MAX_NAME = 1024
"""Characters in a blob name."""
MAX_SEGMENTS = 254
"""Path segments, that is parts between slashes, in a blob name."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_INVALID = (
    (_CONTROL, "Azure takes no control characters in a blob name"),
    (re.compile(r"\.\Z"), "a blob name cannot end with '.'"),
    (re.compile(r"/\Z"), "a blob name cannot end with '/'"),
    (re.compile(r"\\"), "Azure turns a backslash in a blob name into a slash"),
    (re.compile(r"(?:\A|/)\.\.?/"), "Azure resolves the path segments '.' and '..' in a blob name"),
    (re.compile(r"\./"), "Azure drops the dot at the end of a path segment"),
)
"""What no name may contain, and why; the first that is found is the reason."""
_CONTAINER = re.compile(r"\$(?:root|web|logs)|(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])*")


def why_invalid(name: str) -> str | None:
    """Return why Azure cannot store a blob under exactly this name, or None if it can.

    A valid name cannot leave its container, with any HTTP library: it has no dot segment and no backslash.
    """
    if _is_plain(name):
        return None
    if not name:
        return "a blob name cannot be empty"
    if len(name) > MAX_NAME:
        return f"a blob name has at most {MAX_NAME} characters; this one has {len(name)}"
    if (segments := name.count("/") + 1) > MAX_SEGMENTS:
        return f"a blob name has at most {MAX_SEGMENTS} path segments; this one has {segments}"
    return next((reason for pattern, reason in _INVALID if pattern.search(name)), None)


def _is_plain(name: str) -> bool:
    """Return whether a name is valid and printable, which nearly all names are, at a tenth of the cost of the patterns."""
    return (
        0 < len(name) <= MAX_NAME
        and name.isprintable()
        and "\\" not in name
        and "./" not in name
        and not name.endswith((".", "/"))
        and name.count("/") < MAX_SEGMENTS
    )


def is_reserved(name: str) -> bool:
    """Return whether a name is :data:`RESERVED` or below it, also as a lenient server would read it.

    Some servers ignore case or empty segments, or decode a name twice.
    """
    if not name.lstrip("/\\.").startswith(("_", "%")):  # nearly all names
        return False
    previous = ""
    while name != previous:
        previous, name = name, unquote(name)
    segments = name.replace("\\", "/").split("/")
    first = next((one for one in segments if one not in ("", ".", "..")), "")
    return first.rstrip(".").casefold() == RESERVED


def why_refused(name: str) -> str | None:
    """Return why no data may be copied to, or deleted from, a blob of this name; None if it may."""
    if is_reserved(name):
        return f"{RESERVED}/ is where manifests and ledgers are; copy it under a blob_prefix"
    return why_invalid(name)


def why_invalid_container(name: str) -> str | None:
    """Return why no container can have this name, or None if one can. A valid name is one path segment."""
    if _CONTAINER.fullmatch(name):
        return None
    return "a container name has 3 to 63 lowercase letters, digits and single hyphens"
