"""What counts as a finding of `make audit`."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.versions.__main__ import ROOT
from tests.versions.audit import npm_problems, pip_problems

pytestmark = pytest.mark.checkout


def test_a_vulnerability_with_a_fix_is_a_finding() -> None:
    """One without a fix is none: there is nothing to do about it."""
    fixed = {"id": "CVE-1", "fix_versions": ["2.6.3", "2.7.0"], "aliases": [], "description": ""}
    report = {
        "dependencies": [
            {"name": "urllib3", "version": "2.0.2", "vulns": [fixed, {**fixed, "id": "CVE-2", "fix_versions": []}]},
            {"name": "requests", "version": "2.34.2", "vulns": []},
        ]
    }

    assert list(pip_problems(report)) == ["urllib3 2.0.2: CVE-1, fixed in 2.6.3, 2.7.0"]


def test_what_could_not_be_checked_is_a_finding() -> None:
    """pip-audit itself ends with 0 where it reached no advisory source."""
    report = {"dependencies": [{"name": "urllib3", "skip_reason": "not found on PyPI"}]}

    assert list(pip_problems(report)) == ["urllib3: not checked: not found on PyPI"]
    assert list(npm_problems({"message": "405 Method Not Allowed"})) == ["not checked: 405 Method Not Allowed"]


def test_a_node_package_with_a_fix_is_a_finding() -> None:
    """As `npm audit --json` reports it."""
    report = {
        "vulnerabilities": {
            "ws": {"severity": "high", "range": "<8.17.1", "fixAvailable": True},
            "ip": {"severity": "high", "range": "*", "fixAvailable": False},
        }
    }

    assert list(npm_problems(report)) == ["ws <8.17.1: high"]


def test_uv_is_pinned_by_hash_in_one_version() -> None:
    """The Makefile installs exactly what `.ci/uv.txt` names."""
    pin, *hashes = re.sub(r"#.*|\\\n", "", (ROOT / ".ci" / "uv.txt").read_text()).split()

    assert re.fullmatch(r"uv==\d+\.\d+\.\d+", pin)
    assert len(hashes) > 10  # a wheel for each platform
    assert all(re.fullmatch("--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
    assert "--require-hashes" in (ROOT / "Makefile").read_text()


def test_the_floors_are_those_of_the_lowest_versions() -> None:
    """`make versions` was run after the last change of a floor."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = dict(
        re.findall(r"^([a-z0-9-]+)==([0-9.]+)", (ROOT / "tests" / "versions" / "lowest.txt").read_text(), re.MULTILINE)
    )
    floors = {name: floor.split(".") for name, _, floor in (one.partition(">=") for one in dependencies)}

    assert {name: pins[name].split(".")[: len(floor)] for name, floor in floors.items()} == floors
