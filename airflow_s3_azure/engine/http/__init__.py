"""A small HTTP/1.1 client: what a copy needs of HTTP, at a fraction of the usual CPU cost.

From the bottom up: ``message`` and ``chunks`` are the grammar (RFC 9112), pure and as strict as h11. ``stream`` is a
socket with a buffer and deadlines, ``body`` reads a response's body from it, ``connection`` performs one exchange.
``routes`` finds out through requests and urllib3 how an origin is reached, ``client`` pools connections and returns
responses. ``status`` (Retry-After), ``failures`` (URL-free error descriptions) and ``redaction`` (logs) stand beside them.
"""
