"""Reads YAML together with the line of each of its values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

Path = Sequence[str | int]
"""Keys and indexes from the document down to a value."""


class _Loader(yaml.SafeLoader):
    """Leaves dates as text, as JSON and its schemas have them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class YamlLines:
    """A document, and where its values are.

    :param text: of the document
    :raises yaml.YAMLError: if it is not YAML; the error has its line
    """

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=_Loader)
        self.document: Any = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe loader

    def line(self, path: Path) -> int:
        """Return the line of a value, from 1; if it is missing, that of what should have it."""
        node, line = self._root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """Return the line where a child begins, which is that of its key in a mapping, and the child."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None
