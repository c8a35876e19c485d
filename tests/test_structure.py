"""The sizes of modules and functions, and the names of modules: what keeps the package easy to read and to search.

Ruff limits complexity (C901) and statements (PLR0915): see pyproject.toml.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import airflow_s3_azure

PACKAGE = Path(airflow_s3_azure.__file__).parent
ENGINE = PACKAGE / "engine"
ENGINE_TESTS = Path(__file__).parent / "engine"
TESTED_ELSEWHERE = {
    "azure/responses.py": "test_container sends each malformed response",
    "azure/requests.py": "test_container compares the headers of each request",
    "azure/block_list.py": "test_container reads each malformed list",
    "s3/bodies.py": "test_source truncates the documents of S3",
}
"""Modules of the engine without a test file of their name, each with the reason."""
FAKES = Path(__file__).parent / "fakes"
CONTRACTS_ELSEWHERE = {"memory_container.py": "sync/test_jsonlines.py runs its tests against Azurite, too"}
"""Fakes without a contract test of their name, each with the reason."""
LINES = {str(path.relative_to(PACKAGE)): path.read_text().splitlines() for path in sorted(PACKAGE.rglob("*.py"))}


def _functions(name: str) -> Iterator[tuple[str, int]]:
    """Yield a module's functions and how many lines each has after its parameters and its docstring."""
    for node in ast.walk(ast.parse("\n".join(LINES[name]))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            start = first.lineno if ast.get_docstring(node) is None else (first.end_lineno or 0) + 1
            yield f"{name}:{node.name}", (node.end_lineno or 0) - start + 1


def test_functions_have_at_most_60_lines() -> None:
    """Parameters and docstrings do not count: those of operators list many options."""
    assert [(name, lines) for module in LINES for name, lines in _functions(module) if lines > 60] == []


def test_modules_have_at_most_350_lines() -> None:
    """A longer module holds more than one idea."""
    assert [(name, len(lines)) for name, lines in LINES.items() if len(lines) > 350] == []


def test_the_median_module_has_at_most_120_lines() -> None:
    """Most modules are read on one or two screens."""
    assert median(map(len, LINES.values())) <= 120


def test_no_two_modules_have_the_same_name() -> None:
    """A file name in an editor or a traceback is enough to find the module."""
    names = Counter(Path(name).name for name in LINES if not name.endswith("__init__.py"))

    assert [name for name, count in names.items() if count > 1] == []


def test_each_module_of_the_engine_has_a_test_file() -> None:
    """A module's tests are found by its name."""
    modules = {path.relative_to(ENGINE) for path in ENGINE.rglob("*.py") if path.name != "__init__.py"}
    untested = {str(name) for name in modules if not (ENGINE_TESTS / name).with_name(f"test_{name.name}").exists()}

    assert untested == set(TESTED_ELSEWHERE)


def test_each_fake_has_a_contract_test() -> None:
    """It compares the fake with LocalStack or Azurite."""
    fakes = [path for path in FAKES.glob("*.py") if not path.name.startswith(("test_", "__"))]

    assert {path.name for path in fakes if not path.with_name(f"test_{path.name}").exists()} == set(CONTRACTS_ELSEWHERE)
