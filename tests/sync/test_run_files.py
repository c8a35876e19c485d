"""The list of a run's files, and its digest."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.run_files import files_digest, run_files

names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=20)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


def _fingerprint(sha256: str | None) -> Fingerprint:
    return Fingerprint('"0x1"', "digest", rows=2, size=10, sha256=sha256)


@given(files=st.dictionaries(names, digests, max_size=8), seed=st.integers())
def test_the_digest_is_that_of_what_sha256sum_prints(files: dict[str, str], seed: int) -> None:
    """In the order of the names' bytes, whatever the order in which the tasks ended."""
    shuffled = random.Random(seed).sample(sorted(files), len(files))

    listed = run_files({name: _fingerprint(files[name]) for name in shuffled})

    ordered = sorted(files, key=str.encode)
    assert listed == [{"name": name, "size": 10, "rows": 2, "sha256": files[name]} for name in ordered]
    text = "".join(f"{files[name]}  {name}\n" for name in ordered)
    assert files_digest(listed) == hashlib.sha256(text.encode()).hexdigest()


def test_a_file_of_an_earlier_version_leaves_the_digest_unknown() -> None:
    """Its task returned no SHA-256. A digest without the file would look complete."""
    known, unknown = _fingerprint("0" * 64), Fingerprint.from_json({"etag": '"0x1"', "digest": "digest", "rows": 2})

    files = run_files({"a": known, "b": unknown})

    assert (files[1], files_digest(files)) == ({"name": "b", "size": None, "rows": 2, "sha256": None}, None)


def test_a_fingerprint_survives_xcom() -> None:
    """With what the list of files needs of it."""
    fingerprint = _fingerprint("0" * 64)

    assert Fingerprint.from_json(fingerprint.as_json()) == fingerprint
