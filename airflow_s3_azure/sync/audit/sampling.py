"""Which blobs a deep audit reads: a function of their names, so that every try and every worker chooses the same. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

_SPACE = 2**64


@dataclass(frozen=True, slots=True)
class Sampling:
    """A share of all names, by a hash of the seed and the name.

    :param start: of the range of hashes that are chosen, from 0 to 1
    :param stop: end of it; the range is half-open
    """

    seed: str = ""
    start: float = 0.0
    stop: float = 1.0

    @classmethod
    def of_share(cls, share: float, seed: str) -> Sampling:
        """Return a share of the names, such as 0.01; another seed chooses others."""
        return cls(seed, 0.0, share)

    @classmethod
    def of_night(cls, night: int, nights: int) -> Sampling:
        """Return one of ``nights`` disjoint parts, which together are all names.

        :param night: from 0; later ones begin again
        """
        part = night % nights
        return cls("", part / nights, (part + 1) / nights)

    def __contains__(self, name: str) -> bool:
        digest = sha256(f"{self.seed}\n{name}".encode("utf-8", "surrogatepass")).digest()
        return int(self.start * _SPACE) <= int.from_bytes(digest[:8], "big") < int(self.stop * _SPACE)
