"""Tests of what docs/operations ships."""
