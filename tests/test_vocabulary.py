"""The project speaks the field's language: terms of its own that were replaced do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ["README.md", "airflow_s3_azure", "dags", "demo", "docs"]
WHERE = [*SHIPPED, "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs_site", "tests", "benchmarks", "Makefile"]
SUFFIXES = {".py", ".md", ".js", ".css", ".yaml", ""}
REPLACED = {
    "whoever": "anyone, who",
    "anew": "again",
    "likewise": "the same",
    "beforehand": "in advance",
    "for ever": "permanently",
    "dear|dearer": "expensive",
    "mends?|mended": "fix",
    "in hand": "in flight",
    "on (?:its|their) way": "in flight, in transit",
    "under way": "in flight, active",
    "held against": "compared with, verified against",
    "tak(?:e|es|en|ing) over": "reused, resumed",
    "twins?": "concurrent writer",
    "crew": "worker pool",
    "go(?:es)? home": "exit",
    "dealt(?: out)?": "partitioned",
    "grain": "granularity",
    "stand(?:s|ing)? in the way|clear(?:s|ing)? the way": "conflicting or foreign blocks; discard",
    "look(?:s|ed|ing)? first|looked at first": "check, HEAD first",
    "interruptions?": "cancellation",
    "lets? Azure copy": "server-side copy",
    "BadAnswer": "ProtocolError",
}
"""A word or a phrase, as a pattern, and what to write instead."""
REPLACED_IN_SHIPPED = {
    "told|tells|said": "reported, logged, returned; value, field",
    "pulls|pulled": "server-side copy",
    "cuts?": "split; abort",
}
"""The same for what users read; the tests' own names still have some of these."""
EXCEPTED = {
    "tests/test_vocabulary.py",  # names them
    "docs/architecture.md",  # so does its glossary
}


def _files(where: Sequence[str]) -> Iterator[Path]:
    for name in where:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and path.suffix in SUFFIXES and not {"environment", "__pycache__"} & {*path.parts}:
                yield path


@pytest.mark.checkout
@pytest.mark.parametrize(("where", "replaced"), [(WHERE, REPLACED), (SHIPPED, REPLACED_IN_SHIPPED)])
def test_no_replaced_term_is_used(where: Sequence[str], replaced: Mapping[str, str]) -> None:
    """In code, names, comments, messages and docs; a name's words are words too."""
    pattern = re.compile(rf"\b(?:{'|'.join(replaced)})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in _files(where)
        if path.relative_to(ROOT).as_posix() not in EXCEPTED
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in pattern.finditer(line.replace("_", " "))
    ]

    assert found == []
