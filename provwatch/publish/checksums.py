"""The hashes that Quilt's manifests name, computed piece by piece in flat memory."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Protocol

from provwatch.publish.entries import HASH_TYPE
from provwatch.publish.hashing import combine, part_bytes

CRC64_BYTES = 8


class Checksum(Protocol):
    """A hash in the making."""

    def update(self, data: bytes) -> None:
        """Take the next bytes."""

    def value(self) -> str:
        """Return the hash as a manifest spells it; nothing can be taken after that."""


class _Chunked:
    """``sha2-256-chunked``: the hash of the hashes of equal parts."""

    def __init__(self, size: int) -> None:
        """Begin a hash over so many bytes, which decides how large the parts are."""
        self._part = part_bytes(size)
        self._hasher = hashlib.sha256()
        self._room = self._part
        self._digests: list[bytes] = []

    def update(self, data: bytes) -> None:
        """Take the next bytes, which may end one part and begin another."""
        view = memoryview(data)
        while view:
            piece = view[: self._room]
            self._hasher.update(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
            if not self._room:
                self._end_part()

    def _end_part(self) -> None:
        """Begin a new part."""
        self._digests.append(self._hasher.digest())
        self._hasher, self._room = hashlib.sha256(), self._part

    def value(self) -> str:
        """Return base64; an empty file has no parts."""
        if self._room < self._part:
            self._end_part()
        return combine(self._digests)


class _Sha256:
    """``SHA256``, which packages of old quilt3 have."""

    def __init__(self, _size: int) -> None:
        """Begin a hash."""
        self._hasher = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hasher.update(data)

    def value(self) -> str:
        """Return hex."""
        return self._hasher.hexdigest()


class _Crc64Nvme:
    """``CRC64NVME``, which S3 itself computes."""

    def __init__(self, _size: int) -> None:
        """Begin a checksum."""
        from awscrt.checksums import crc64nvme  # noqa: PLC0415 - a native library; few manifests need it

        self._add: Callable[[bytes, int], int] = crc64nvme
        self._crc = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._crc = self._add(data, self._crc)

    def value(self) -> str:
        """Return base64 of the eight bytes, the highest first."""
        return base64.b64encode(self._crc.to_bytes(CRC64_BYTES, "big")).decode()


KINDS: dict[str, Callable[[int], Checksum]] = {HASH_TYPE: _Chunked, "SHA256": _Sha256, "CRC64NVME": _Crc64Nvme}
"""How each type of hash is begun, given the number of bytes."""
