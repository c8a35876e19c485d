"""A small HTTP/1.1 client: what a copy needs of HTTP, at a fraction of the usual cost."""
