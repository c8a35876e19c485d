"""The project speaks the field's language: terms of its own that were replaced do not come back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ["airflow_s3_azure", "benchmarks", "dags", "demo", "tests"]
EVERYWHERE = [*CODE, "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "docs_site", "Makefile"]
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
    "lets? azure copy": "server-side copy",
    "badanswer": "ProtocolError",
    "told|tells|said": "reported, logged, returned; value, field",
    "pulls|pulled": "server-side copy",
    "cuts?": "split; abort",
    "sides": "endpoints; source and destination",
}
"""A word or a phrase in lower case, as a pattern, and what to write instead."""
REPLACED_IN_CODE = {
    "answers?|answered|answering": "response, respond",
}
"""The same for code; a human who approves a deletion answers a question."""
EXCEPTED = {
    "tests/test_vocabulary.py",  # names them
    "docs/architecture.md",  # so does its glossary
}


def _files(names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        if (ROOT / name).is_file():
            yield ROOT / name
        for folder, folders, files in os.walk(ROOT / name):
            folders[:] = sorted({*folders} - {"environment", "__pycache__"})
            yield from (Path(folder) / file for file in sorted(files) if Path(file).suffix in SUFFIXES)


@pytest.mark.checkout
@pytest.mark.parametrize(("names", "replaced"), [(EVERYWHERE, REPLACED), (CODE, REPLACED_IN_CODE)])
def test_no_replaced_term_is_used(names: Sequence[str], replaced: Mapping[str, str]) -> None:
    """In code, names, comments, messages and docs; a name's words are words too."""
    pattern = re.compile(rf"\b(?:{'|'.join(replaced)})\b")
    found = []
    for path in _files(names):
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8").replace("_", " ")
        if name not in EXCEPTED:
            found += [
                f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
                for match in pattern.finditer(text.lower())
            ]

    assert found == []
