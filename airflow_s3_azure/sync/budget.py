"""Limits of a plan, so that a mistyped prefix or an empty source copies or deletes nothing. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.progress import count_text, size_text


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that one plan may copy and delete.

    :param max_objects: objects to copy
    :param max_bytes: bytes to copy
    :param max_delete: blobs to delete, orphaned ones and archived ones that are replaced: a number, or, below 1, a share of the
        blobs under the plan's prefix
    """

    max_objects: int | None = None
    max_bytes: int | None = None
    max_delete: float = 0.1

    def check(self, objects: int, size: int, manifest: str) -> None:
        """Check how much a plan copies.

        :param size: bytes
        :param manifest: where the list of the objects to copy is
        :raises PlanError: if it is above a limit
        """
        names = ("max_objects", "max_bytes")
        if excess := describe_excess(objects, size, self.max_objects, self.max_bytes, names):
            raise PlanError(f"{excess}; nothing was copied: raise it, or select less. The list is in {manifest}")

    def why_not_delete(self, orphaned: int, blobs: int, *, keys: int) -> str | None:
        """Return why none of the orphaned blobs may be deleted; None if they may be, or if there are none.

        :param blobs: all blobs under the plan's prefix
        :param keys: all keys that the source lists; without any, the source is more likely wrong than empty
        """
        if not orphaned:
            return None
        if not keys:
            return (
                f"the source listing is empty, and {count_text(orphaned, 'blob')} would be deleted: check s3_bucket and "
                "s3_prefix"
            )
        if orphaned > self._allowed_deletions(blobs):
            return (
                f"{orphaned:,} of {blobs:,} blobs would be deleted, but max_delete is {self.max_delete:,}: check "
                "delete.jsonl in the plan's folder, then raise it"
            )
        return None

    def check_replaced(self, replaced: int, orphaned: int, blobs: int, manifest: str) -> None:
        """Check how many archived blobs a plan deletes to replace them, together with the orphaned ones.

        :param blobs: all blobs under the plan's prefix
        :param manifest: where the list of the objects to copy is
        :raises PlanError: if they are more than max_delete allows
        """
        if not replaced or replaced + orphaned <= self._allowed_deletions(blobs):
            return
        others = f", and {count_text(orphaned, 'orphaned blob')} too" if orphaned else ""
        raise PlanError(
            f"overwrite_archived is True, and {replaced:,} of {blobs:,} blobs are archived and would be deleted to replace "
            f"them{others}, but max_delete is {self.max_delete:,}; nothing was copied: check the lines with replace_archived "
            f"in {manifest}, then raise it"
        )

    def _allowed_deletions(self, blobs: int) -> float:
        return self.max_delete * blobs if self.max_delete < 1 else self.max_delete


def describe_excess(
    objects: int, size: int, max_objects: int | None, max_bytes: int | None, names: tuple[str, str]
) -> str | None:
    """Return what there is to copy and which limit it exceeds; None if it exceeds none.

    :param size: bytes
    :param names: what the user calls the two limits
    """
    if max_objects is not None and objects > max_objects:
        return f"there are {objects:,} objects to copy, but {names[0]} is {max_objects:,}"
    if max_bytes is not None and size > max_bytes:
        return f"there are {size:,} bytes ({size_text(size)}) to copy, but {names[1]} is {max_bytes:,}"
    return None
