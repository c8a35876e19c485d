"""Run the tests against the wheel, on the oldest or the newest versions: `python3 -m tests.versions lowest`.

The wheel is built and installed into an environment of its own, for the Python that runs this; the tests are copied
beside no package, so that what they import is what was installed. Plain Python and `uv` (named by the environment
variable UV) are all it needs. Arguments after the first go to pytest.

`python3 -m tests.versions lock` chooses the versions again: the lowest are the floors of pyproject.toml to the letter, and
beneath them what there was when the lowest Airflow was released, as Airflow's own constraints would have it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HERE = Path(__file__).parent
VERSIONS = ("lowest", "newest")
EXTRA = "openlineage"
LOWEST_AS_OF = "2026-04-08"
"""The day after Airflow 3.2.0; it does not start with the pydantic of half a year later."""
COPIED = ("tests", "dags", "demo", "benchmarks", "docs", "pyproject.toml", "README.md", "CHANGELOG.md")
INSTALLED = tuple(f"tests/servers/environment/{name}" for name in (".venv", ".venv-stores", "node_modules"))
"""The servers' programs: too many files to copy."""


def main(arguments: list[str]) -> int:
    """Run the tests, or choose the versions; return the exit status."""
    match arguments:
        case ["lock"]:
            lock()
            return 0
        case [versions, *options] if versions in VERSIONS:
            return run(versions, options)
    print(__doc__, file=sys.stderr)  # noqa: T201
    return 2


def lock() -> None:
    """Write both files."""
    with tempfile.TemporaryDirectory() as folder:
        pins, then = Path(folder) / "floors.txt", Path(folder) / "then.txt"
        pins.write_text("\n".join(floors()))
        _compile(then, "--constraint", str(pins), "--exclude-newer", LOWEST_AS_OF)
        # The tests' own tools are today's.
        _compile(HERE / "lowest.txt", "--constraint", str(then), "--group", "test")
    _compile(HERE / "newest.txt", "--upgrade", "--group", "test")


def floors() -> list[str]:
    """Return the lowest version of everything that the wheel needs, as pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [one.replace(">=", "==") for one in (*project["dependencies"], *project["optional-dependencies"][EXTRA])]


def run(versions: str, options: list[str]) -> int:
    """Run the tests against the wheel, installed among these versions; return pytest's exit status."""
    environment = ROOT / ".tools" / f"{versions}-{sys.version_info.major}.{sys.version_info.minor}"
    python = environment / "bin" / "python"
    wheels = ROOT / ".tools" / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    _uv("build", "--quiet", "--wheel", "--out-dir", str(wheels), str(ROOT))
    (wheel,) = wheels.glob("*.whl")
    _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment))
    _uv("pip", "sync", "--quiet", "--compile-bytecode", "--python", str(python), str(HERE / f"{versions}.txt"))
    _uv("pip", "install", "--quiet", "--no-deps", "--python", str(python), str(wheel))
    with tempfile.TemporaryDirectory(prefix="s3-azure-versions-") as folder:
        copy = Path(folder)
        _copy_tests(copy)
        # Old Airflows warn of the other libraries' new versions; in `make test` a warning is an error.
        options = [
            "-n",
            "2",
            "--dist",
            "loadfile",
            "--no-loadscope-reorder",
            "-m",
            "not checkout and not cluster",
            "-W",
            "default",
            *options,
        ]
        command = [str(python), "-m", "pytest", *options]
        return subprocess.run(command, cwd=copy, check=False, env=os.environ | {"PYTHONPATH": ""}).returncode


def _copy_tests(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", *(Path(one).name for one in INSTALLED), ".bytecode")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in INSTALLED:
        (folder / name).symlink_to(ROOT / name)


def _compile(file: Path, *options: str) -> None:
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    _uv(
        *("pip", "compile", "--quiet", "--universal", "--no-annotate", "--python-version", python),
        *("--extra", EXTRA, "--custom-compile-command", "make versions", *options),
        *("--output-file", str(file), "pyproject.toml"),
    )


def _uv(*arguments: str) -> None:
    subprocess.run(
        [os.environ.get("UV", "uv"), *arguments],
        check=True,
        cwd=ROOT,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
