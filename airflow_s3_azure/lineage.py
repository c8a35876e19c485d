"""The datasets that a task read and wrote, for OpenLineage.

OpenLineage's provider calls a task's operator when the task has ended, if it is installed (the optional dependency
``openlineage``), so it is imported only then. A sync reports its prefixes, not their objects: a million keys are one
input dataset and one output dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage


@dataclass(frozen=True, slots=True)
class Place:
    """An object, a blob, or a prefix of them.

    :param namespace: OpenLineage's, such as ``s3://bucket``
    :param name: of the dataset within it
    """

    namespace: str
    name: str

    @classmethod
    def of_s3(cls, bucket: str, path: str) -> Place:
        """Return a key or a prefix in a bucket."""
        return cls(f"s3://{bucket}", _name(path))

    @classmethod
    def of_azure(cls, account: str, container: str, path: str) -> Place:
        """Return a blob or a prefix in a container."""
        # The same host for every Azure cloud: https://openlineage.io/docs/spec/naming
        return cls(f"wasbs://{container}@{account}.dfs.core.windows.net", _name(path))


@dataclass(frozen=True, slots=True)
class Moved:
    """What a task moved from one place to another.

    :param files: blobs written; None: unknown, because the task failed
    :param size: bytes written
    """

    source: Place
    destination: Place
    files: int | None = None
    size: int | None = None

    def ended(self, status: str, size: int | None) -> Moved:
        """Return it with the result of its one object.

        :param status: such as ``copied``; with any other nothing was written
        :param size: of the object, in bytes
        """
        is_copied = status == "copied"
        return replace(self, files=int(is_copied), size=size if is_copied else 0)


def operator_lineage(moves: Sequence[Moved]) -> OperatorLineage[Any, Any]:
    """Return the input datasets, and the output datasets with their statistics.

    :raises ImportError: if OpenLineage's provider is not installed
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

    # A template can map the keys of several prefixes to one destination.
    by_destination: dict[Place, list[Moved]] = {}
    for move in moves:
        by_destination.setdefault(move.destination, []).append(move)
    outputs = []
    for place, parts in by_destination.items():
        output = OutputDataset(namespace=place.namespace, name=place.name)
        if all(part.files is not None for part in parts):
            output.outputFacets = {
                "outputStatistics": OutputStatisticsOutputDatasetFacet(
                    fileCount=sum(part.files or 0 for part in parts), size=sum(part.size or 0 for part in parts)
                )
            }
        outputs.append(output)
    inputs = [
        InputDataset(namespace=place.namespace, name=place.name)
        for place in dict.fromkeys(move.source for move in moves)
    ]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _name(path: str) -> str:
    """Return a path as other tools name it: Spark writes a folder without its last slash, and a whole bucket as /."""
    return path.rstrip("/") or "/"
