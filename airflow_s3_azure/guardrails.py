"""Guardrails: limits of this Airflow that no DAG argument and no run conf can exceed.

An administrator sets guardrails in the section ``[s3_to_azure]`` of Airflow's configuration. A user who may
trigger a DAG whose form has a field for the bucket can then copy only from and to what is allowed. The author of a DAG is trusted: a task may run
any code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.provider_info import SECTION
from airflow_s3_azure.sync.budget import describe_excess
from airflow_s3_azure.values import flag, size, whole

_ANY_SUFFIX = "\0\0\0"
"""Represents any text after a prefix. No pattern contains it, so only a pattern that ends in ``*`` matches."""


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The guardrails of an Airflow; the defaults allow everything.

    In patterns ``*`` stands for any text, slashes too, and ``?`` for one character. A bucket or container alone, and a
    prefix that ends in a slash, stand for all that is in them.

    :param allowed_sources: patterns of ``s3://bucket/key``, for objects to copy and for files of key lists; empty: any
    :param allowed_destinations: patterns of ``https://account.blob.core.windows.net/container/blob``, or of
        ``wasb_conn_id/container/blob``; empty: any
    :param max_bytes_per_run: bytes that one run may copy
    :param max_objects_per_run: objects that one run may copy
    :param allow_delete: whether a sync may delete orphaned blobs, and a copy an archived blob that it replaces
    :param allow_server_side_copy: whether Azure may be given presigned URLs
    """

    allowed_sources: tuple[str, ...] = ()
    allowed_destinations: tuple[str, ...] = ()
    max_bytes_per_run: int | None = None
    max_objects_per_run: int | None = None
    allow_delete: bool = True
    allow_server_side_copy: bool = True

    @classmethod
    def configured(cls) -> Self:
        """Return the guardrails of this Airflow's configuration.

        :raises ConfigurationError: if a value is invalid for its key
        """
        from airflow.sdk.configuration import conf

        def found(key: str) -> str:
            return str(conf.get(SECTION, key, fallback="") or "")

        return cls(
            allowed_sources=tuple(_patterns(found("allowed_sources"))),
            allowed_destinations=tuple(_patterns(found("allowed_destinations"))),
            max_bytes_per_run=size(_key("max_bytes_per_run"), found("max_bytes_per_run")),
            max_objects_per_run=whole(_key("max_objects_per_run"), found("max_objects_per_run")),
            allow_delete=flag(_key("allow_delete"), found("allow_delete") or True),
            allow_server_side_copy=flag(_key("allow_server_side_copy"), found("allow_server_side_copy") or True),
        )

    def check_bucket(self, bucket: str) -> None:
        """Check that something in a bucket may be copied.

        :raises ConfigurationError: if not
        """
        self._check("allowed_sources", self.allowed_sources, [f"s3://{bucket}/"], part=True)

    def check_source(self, bucket: str, key: str, *, is_prefix: bool) -> None:
        """Check that an object, or every object under a prefix, may be copied.

        :raises ConfigurationError: if not
        """
        name = f"s3://{bucket}/{key}"
        self._check("allowed_sources", self.allowed_sources, [name + _ANY_SUFFIX * is_prefix])

    def check_container(self, wasb_conn_id: str, url: str) -> None:
        """Check that something in a container may be written.

        :param url: of the container, without credentials
        :raises ConfigurationError: if not
        """
        names = _destinations(wasb_conn_id, url, "")
        self._check("allowed_destinations", self.allowed_destinations, names, part=True)

    def check_destination(self, wasb_conn_id: str, url: str, blob: str, *, is_prefix: bool) -> None:
        """Check that a blob, or every blob under a prefix, may be written.

        :param url: of the container, without credentials
        :raises ConfigurationError: if not
        """
        names = _destinations(wasb_conn_id, url, blob + _ANY_SUFFIX * is_prefix)
        self._check("allowed_destinations", self.allowed_destinations, names)

    def check_mode(self, mode: str) -> None:
        """Check that this mode is allowed.

        :raises ConfigurationError: if not
        """
        if mode == "server_side" and not self.allow_server_side_copy:
            raise ConfigurationError(
                f"mode is 'server_side', but {_key('allow_server_side_copy')} is False; use mode='stream', or ask an "
                "administrator of this Airflow"
            )

    def check_delete(self, option: str = "delete", value: object = "extra") -> None:
        """Check that blobs may be deleted.

        :param option: that deletes them, and its value
        :raises ConfigurationError: if not
        """
        if not self.allow_delete:
            raise ConfigurationError(
                f"{option} is {value!r}, but {_key('allow_delete')} is False; leave {option} out, or ask an administrator "
                "of this Airflow"
            )

    def check_run(self, objects: int, total: int) -> None:
        """Check the totals of a run.

        :param total: bytes
        :raises ConfigurationError: if not
        """
        names = (_key("max_objects_per_run"), _key("max_bytes_per_run"))
        if excess := describe_excess(objects, total, self.max_objects_per_run, self.max_bytes_per_run, names):
            raise ConfigurationError(
                f"{excess}; nothing was copied: select less, or ask an administrator of this Airflow"
            )

    @property
    def buckets(self) -> tuple[list[str], bool]:
        """The buckets that the allowed sources name, and whether there are no others."""
        return _places(pattern.partition("://")[2] for pattern in self.allowed_sources)

    @property
    def containers(self) -> tuple[list[str], bool]:
        """The containers that the allowed destinations name, and whether there are no others."""
        return _places(pattern.rpartition("://")[2].partition("/")[2] for pattern in self.allowed_destinations)

    def _check(self, key: str, patterns: tuple[str, ...], names: list[str], *, part: bool = False) -> None:
        """Check that a pattern matches one of the names; with ``part``, that it can match something below one of them."""
        if not patterns or any(_matches(name, pattern, part=part) for pattern in patterns for name in names):
            return
        shown = names[0].replace(_ANY_SUFFIX, "*")
        raise ConfigurationError(
            f"{shown!r} is not allowed by {_key(key)}, which is {', '.join(map(repr, patterns))}: choose another "
            f"{'source' if key == 'allowed_sources' else 'destination'}, or ask an administrator of this Airflow"
        )


def _key(name: str) -> str:
    return f"[{SECTION}] {name}"


def _patterns(text: str) -> Iterable[str]:
    for one in text.replace("\n", ",").split(","):
        if pattern := one.strip():
            place = pattern.partition("://")[2] or pattern
            is_whole = place.count("/") == (0 if pattern.startswith("s3://") else 1)
            yield pattern + "/*" * (is_whole and not pattern.endswith("*")) + "*" * pattern.endswith("/")


def _destinations(wasb_conn_id: str, url: str, blob: str) -> list[str]:
    container = url.rstrip("/").rpartition("/")[2]
    return [f"{url.rstrip('/')}/{blob}", f"{wasb_conn_id}/{container}/{blob}"]


def _matches(name: str, pattern: str, *, part: bool) -> bool:
    if not part:
        return fnmatchcase(name, pattern.replace("[", "[[]"))
    # The pattern's bucket or container, without its part for the names in it.
    place = "/".join(pattern.split("/")[: name.rstrip("/").count("/") + 1])
    return fnmatchcase(name.rstrip("/"), place.replace("[", "[[]"))


def _places(paths: Iterable[str]) -> tuple[list[str], bool]:
    found = {path.partition("/")[0] for path in paths}
    named = {one for one in found if one and not set("*?") & set(one)}
    return sorted(named), bool(named) and named == found
