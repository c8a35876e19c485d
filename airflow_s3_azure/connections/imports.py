"""Imports modules without Python's garbage collector.

An import makes many objects and hardly any garbage. Meanwhile the collector visits all objects of the process again and again.
"""

from __future__ import annotations

import gc
from importlib import import_module
from types import ModuleType


def import_uncollected(name: str) -> ModuleType:
    """Import a module while the collector is off, and exempt all objects of the process from later collections.

    They are freed all the same once nothing refers to them, except cycles that are garbage already.
    """
    if not gc.isenabled():
        return import_module(name)
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
