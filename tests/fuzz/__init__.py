"""Mutated responses of both services: each call returns what is right, or raises a `TransferError`."""
