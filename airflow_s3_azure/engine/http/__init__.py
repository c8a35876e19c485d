"""A small HTTP/1.1 client: the part of HTTP that a copy needs, at a fraction of the usual CPU cost.

From the bottom up: ``message`` and ``chunks`` are the grammar (RFC 9112), pure and as strict as h11. ``receive_buffer``
is a socket with a buffer and deadlines, ``body`` reads a response's body from it, ``connection`` performs one exchange.
``routes`` resolves through requests and urllib3 how an origin is reached, ``client`` pools connections and returns
responses. Independent of these: ``status`` (Retry-After), ``failures`` (URL-free error descriptions), ``redaction`` (logs).

A connection is in one of these states; its owner is the only thread that uses it::

    idle, in its route's pool ──take──► in use ──body complete, and reusable──► idle
                                           └──any error, or not reusable──► closed

Invariant: an idle connection has no unread byte and expects none. So no byte of one response is read as part of another.
"""
