"""Stands in for Prometheus' statsd_exporter, which neither PyPI nor Debian has: what its documentation says of mappings.

https://github.com/prometheus/statsd_exporter: a ``*`` of a match is one segment of the name, ``$1`` or ``${1}`` its text; InfluxDB
tags become labels; times arrive in milliseconds and leave in seconds; what has no mapping has its dots replaced.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

_LINE = re.compile(r"([\w.]+)((?:,\w+=[^,:]+)*):([\d.]+)\|(c|g|ms)")


class Exporter:
    """Keeps what StatsD lines report, under the names of a mapping.

    :ivar values: by name and labels
    """

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._rules = mapping["mappings"]
        self.values: defaultdict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def receive(self, line: str) -> None:
        """Count a line."""
        match = _LINE.fullmatch(line)
        assert match is not None, line
        name, tags, number, kind = match.groups()
        labels = dict(one.split("=", 1) for one in tags.split(",") if one)
        name, labels = self._mapped(name, labels)
        key = tuple(sorted(labels.items()))
        if kind == "g":
            self.values[name, key] = float(number)
        elif kind == "c":
            self.values[name, key] += float(number)
        else:
            self.values[f"{name}_sum", key] += float(number) / 1000
            self.values[f"{name}_count", key] += 1

    def exposition(self) -> str:
        """Return the text that Prometheus scrapes."""
        found = []
        for (name, labels), value in self.values.items():
            shown = ",".join(f'{label}="{text}"' for label, text in labels)
            found.append(f"{name}{{{shown}}} {value}\n")
        return "".join(found)

    def _mapped(self, name: str, labels: dict[str, str]) -> tuple[str, dict[str, str]]:
        for rule in self._rules:
            if found := re.fullmatch(re.escape(rule["match"]).replace(r"\*", r"([^.]*)"), name):

                def filled(text: str, found: re.Match[str] = found) -> str:
                    return re.sub(r"\$\{?(\d)\}?", lambda one: found[int(one[1])], text)

                more = {label: filled(text) for label, text in rule.get("labels", {}).items()}
                return filled(rule["name"]), labels | more
        return name.replace(".", "_"), labels
