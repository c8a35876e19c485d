"""The values of the argument ``compare``. Pure."""

from __future__ import annotations

from typing import Literal

Compare = Literal["etag", "checksum", "size", "always"]
"""What makes a blob count as a copy: the source's ETag and size recorded on it, or else its content; its size alone; or
nothing."""

NO_READ_BACK = "compare='checksum' reads blobs back, which a triggerer must not do: leave deferrable out"
