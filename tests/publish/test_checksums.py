"""The hashes that manifests name, computed piece by piece: each is the one that quilt3 computes."""

from __future__ import annotations

import random
import sys

import pytest
import quilt3.checksums

from provwatch.publish.checksums import KINDS
from provwatch.publish.entries import HASH_TYPE

PART = 8 * 1024 * 1024
SIZES = (0, 1, PART - 1, PART, PART + 1, 2 * PART, 20 * 1024 * 1024 + 7)
PIECES = (1024 * 1024, PART - 3, 30 * 1024 * 1024)


@pytest.fixture(scope="module")
def noise() -> bytes:
    """Return bytes that no two parts of are the same."""
    return random.Random(3).randbytes(max(SIZES))


def computed(kind: str, data: bytes, piece: int) -> str:
    """Return a hash, computed piece by piece."""
    checksum = KINDS[kind](len(data))
    for start in range(0, len(data), piece):
        checksum.update(data[start : start + piece])
    return checksum.value()


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [HASH_TYPE, "CRC64NVME"])
def test_hashes_are_quilt3s(noise: bytes, kind: str, size: int, piece: int) -> None:
    """However the bytes come in pieces."""
    expected = quilt3.checksums.calculate_multipart_checksum_bytes(noise[:size], checksum_type=kind)
    assert computed(kind, noise[:size], piece) == expected


@pytest.mark.parametrize("size", SIZES)
def test_the_old_hash(noise: bytes, size: int) -> None:
    """The plain SHA-256 of packages that old quilt3 made."""
    assert computed("SHA256", noise[:size], PIECES[0]) == quilt3.checksums.legacy_calculate_checksum_bytes(noise[:size])


@pytest.mark.parametrize("size", [PART * 10_000, PART * 10_000 + 1, PART * 40_001])
def test_large_files_have_larger_parts(size: int) -> None:
    """As many as S3 takes."""
    assert KINDS[HASH_TYPE](size)._part == quilt3.checksums.get_checksum_chunksize(size)  # type: ignore[attr-defined]


def test_the_native_library_is_loaded_only_for_its_checksum() -> None:
    """Most packages do without."""
    before = sys.modules.pop("awscrt.checksums", None)
    KINDS[HASH_TYPE](1)
    assert "awscrt.checksums" not in sys.modules
    KINDS["CRC64NVME"](1)
    assert "awscrt.checksums" in sys.modules
    if before is not None:
        sys.modules["awscrt.checksums"] = before
