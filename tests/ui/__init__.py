"""Tests of the UI, and what they share with the screenshots."""
