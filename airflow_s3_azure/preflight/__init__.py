"""Proves on the real accounts what a copy assumes of them: one list of small checks over the engine's own code."""
