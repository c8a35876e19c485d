"""Copying on the server side, with an Azurite that can read from elsewhere."""
