"""A registry in a bucket: read heads, and make revisions so that none is lost, doubled or half there.

quilt3 builds the manifest and writes it. Then ``latest`` is replaced only if it still is what the revision was compared
with, and the numbered pointer follows. ``latest`` remembers the number, so whoever finds the pointer missing after a
crash writes the very same one.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from provwatch.aws import (
    LOST_RACE,
    UNCONDITIONAL,
    S3Address,
    error_code,
    explained,
    read_object,
    sha256_checksum,
    version_of,
)
from provwatch.errors import PackagingError, ProvwatchError
from provwatch.failpoints import reach
from provwatch.publish.entries import Entry
from provwatch.publish.manifest import Head, manifest_header, parse_manifest, write_manifest
from provwatch.publish.quilt import build_in_bucket
from provwatch.publish.registry import LATEST, POINTER_NAME, STREAMED_ENTRIES, TOP_HASH, HeadMovedError, Revision
from provwatch.publish.s3_storage import S3Storage

POINTER_MARK = "provwatch-pointer"
MAX_POINTER_BYTES = 1_024
MAX_MANIFEST_BYTES = 4 << 30
MAX_CONFIG_BYTES = 16 << 20
CLOCKS_DIFFER_SECONDS = 2.0
POINTERS_LOOKED_AT = 20
POINTER_READS = 16
NO_CONDITIONS = "no-conditional-writes"
_POINTER_KEY = re.compile(r"\.quilt/named_packages/[^/]+/[^/]+/([0-9]+)")
_LATEST_KEY = re.compile(r"\.quilt/named_packages/[^/]+/[^/]+/latest")


@dataclass(frozen=True, slots=True)
class Latest:
    """What ``latest`` says.

    Attributes:
        top_hash: hex; "" where there is no revision.
        etag: the object's ETag, "" where there is no object.
        pointer: the number of the revision's pointer, 0 where another tool wrote ``latest``.
        version: the object's version, "" in a bucket that keeps none.
    """

    top_hash: str = ""
    etag: str = ""
    pointer: int = 0
    version: str = ""


class S3Registry:
    """A Quilt registry in a bucket."""

    def __init__(self, uri: str, client: Any, storage: S3Storage) -> None:
        """Use the registry at ``s3://bucket`` with this client; *storage* has the bytes of the package at hand."""
        self.uri = uri
        self.storage = storage
        self._client = client
        self._bucket = uri.removeprefix("s3://")
        self._heads: dict[str, Head] = {}

    @property
    def warnings(self) -> set[str]:
        """Codes of what the bucket cannot do."""
        return self.storage.warnings

    def read(self, uri: str) -> tuple[bytes, str] | None:
        """Return the bytes of an object of any bucket, and its URI with its version; None where there is none."""
        address = S3Address.parse(uri)
        found = read_object(self._client, address, max_bytes=MAX_CONFIG_BYTES)
        return (found[0], address._replace(version=version_of(found[1])).uri) if found else None

    def head(self, package: str) -> Head | None:
        """Return the package's latest revision, or None.

        Raises:
            ProvwatchError: the registry or the manifest cannot be read, or ``latest`` is foreign.
        """
        top_hash = self._latest(package).top_hash
        if not top_hash:
            return None
        if top_hash not in self._heads:
            address = self._address(f"packages/{top_hash}")
            found = read_object(self._client, address, max_bytes=MAX_MANIFEST_BYTES)
            if found is None:
                hint = "Restore it, or remove the package's folder in .quilt/named_packages"
                message = "the latest revision has no manifest"
                raise PackagingError(message, where=address.uri, hint=hint, code="broken-head")
            self._heads[top_hash] = parse_manifest(top_hash, found[0])
        return self._heads[top_hash]

    def top_hashes(self, package: str) -> Iterator[str]:
        """Yield the top hashes of a package's revisions, the latest first, then from the newest on; some repeat."""
        yield from filter(None, [self._latest(package).top_hash])
        numbers = reversed(self._pointers(package, 1))
        with ThreadPoolExecutor(POINTER_READS) as pool:
            yield from filter(TOP_HASH.fullmatch, pool.map(partial(self._value, package), numbers))

    def has_head(self, package: str, top_hash: str) -> bool:
        """Say whether this revision is the package's latest, and its bytes cannot have been overwritten."""
        latest = self._latest(package)
        return latest.top_hash == top_hash and latest.version != ""

    def _latest(self, package: str) -> Latest:
        """Read ``latest``; an empty one, as a crash of other tools leaves it, is read as the newest pointer."""
        address = self._address(f"named_packages/{package}/{LATEST}")
        found = read_object(self._client, address, max_bytes=MAX_POINTER_BYTES)
        if found is None:
            return Latest()
        data, answer = found
        value = data.decode("ascii", "replace").strip()
        if not value:
            return Latest(self._newest_pointed_at(package), answer["ETag"])
        if TOP_HASH.fullmatch(value) is None:
            message = "this is no top hash, so somebody else's tool wrote it"
            raise PackagingError(message, where=address.uri, hint="Look at it, then remove it", code="foreign-latest")
        number = answer.get("Metadata", {}).get(POINTER_MARK, "")
        pointer = int(number) if POINTER_NAME.fullmatch(number) else 0
        return Latest(value, answer["ETag"], pointer, version_of(answer))

    def publish(self, revision: Revision, expected: str) -> str:
        """Make a revision the package's latest; return its top hash.

        Args:
            revision: what to make.
            expected: top hash of the head that the revision was compared with, "" for none.

        Raises:
            HeadMovedError: the head is another one by now; nothing was published.
            ProvwatchError: it could not be built or written; nothing was published.
        """
        latest = self._latest(revision.package)
        if latest.top_hash != expected:
            raise HeadMovedError("another revision was made meanwhile", where=revision.package)
        self._mend(revision.package, latest)
        commit = _Commit(self, revision.package, latest)
        if len(revision.entries) > STREAMED_ENTRIES:
            return self._publish_streamed(revision, commit)
        with explained(self.uri):
            return build_in_bucket(revision, self.uri, _QuiltClient(self._client, commit))

    def _publish_streamed(self, revision: Revision, commit: _Commit) -> str:
        """Write a manifest that would not fit into memory, then make it the latest."""
        header = manifest_header(revision.metadata, revision.message, revision.workflow)
        with tempfile.TemporaryFile() as file:
            top_hash = write_manifest(header, revision.entries, file.write)
            file.seek(0)
            key = self._address(f"packages/{top_hash}").key
            checksum = sha256_checksum(file)
            file.seek(0)
            with explained(self.uri):  # in one piece, as 5 GB may be, so that being killed leaves no upload behind
                self._client.put_object(Bucket=self._bucket, Key=key, Body=file, **checksum)
        reach("after_manifest")
        commit.make_latest(top_hash)
        return top_hash

    def relocate(self, package: str, head: Head, entries: Sequence[Entry]) -> bool:
        """Say that a revision in a bucket is never changed: where bytes have to lie elsewhere, a new one is made."""
        del package, head, entries
        return False

    def mend(self, package: str) -> bool:
        """Write the pointer that a crash left out, and abort its uploads; say whether a pointer was missing."""
        self.storage.tidy()
        return self._mend(package, self._latest(package))

    def _mend(self, package: str, latest: Latest) -> bool:
        """Write the pointer of a latest revision where it is missing; quilt3 writes its pointers before ``latest``."""
        if not latest.pointer:
            return False
        numbers = self._pointers(package, latest.pointer)
        if any(self._value(package, number) == latest.top_hash for number in numbers[:POINTERS_LOOKED_AT]):
            return False
        self.point(package, latest.pointer, latest.top_hash)
        return True

    def point(self, package: str, number: int, top_hash: str) -> None:
        """Write a numbered pointer; where another tool took the number, the next free one."""
        while True:
            address = self._address(f"named_packages/{package}/{number}")
            try:
                self.put(address.key, top_hash.encode(), {"IfNoneMatch": "*"})
            except HeadMovedError:
                if self._value(package, number) == top_hash:
                    return
                number += 1
            else:
                return

    def put(self, key: str, data: bytes, condition: Mapping[str, str], marks: Mapping[str, str] | None = None) -> None:
        """Write a small object under a condition.

        Raises:
            HeadMovedError: the condition does not hold.
            ProvwatchError: it cannot be written.
        """
        checksum = sha256_checksum(data)
        request = {"Bucket": self._bucket, "Key": key, "Body": data, "Metadata": dict(marks or {}), **checksum}
        with explained(S3Address(self._bucket, key).uri):
            try:
                self._client.put_object(**request, **condition)
            except Exception as error:
                if error_code(error) in LOST_RACE:
                    raise HeadMovedError("another revision was made meanwhile", where=key) from error
                if error_code(error) not in UNCONDITIONAL:
                    raise
                self.warnings.add(NO_CONDITIONS)
                self._client.put_object(**request)

    def free_number(self, package: str, latest: Latest) -> int:
        """Return the number of the next pointer: of this second, but after all others, waiting for it if need be.

        Where a clock that ran ahead left a pointer in the future, the new one comes right after it.
        """
        recent = self._pointers(package, int(time.time() - CLOCKS_DIFFER_SECONDS))
        newest = max([latest.pointer, *recent])
        if newest > time.time() + CLOCKS_DIFFER_SECONDS:
            return newest + 1
        while int(time.time()) <= newest:
            time.sleep(1.0 - time.time() % 1.0)
        return int(time.time())

    def _pointers(self, package: str, since: int) -> list[int]:
        """Return the numbers of the package's pointers from a second on, in order."""
        prefix = self._address(f"named_packages/{package}/").key
        request = {"Bucket": self._bucket, "Prefix": prefix, "StartAfter": f"{prefix}{since - 1}"}
        with explained(f"s3://{self._bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(**request)
            names = [found["Key"].removeprefix(prefix) for page in pages for found in page.get("Contents", ())]
        return sorted(int(name) for name in names if POINTER_NAME.fullmatch(name))

    def _value(self, package: str, number: int) -> str:
        """Return the top hash that a pointer holds, or ""."""
        address = self._address(f"named_packages/{package}/{number}")
        found = read_object(self._client, address, max_bytes=MAX_POINTER_BYTES)
        return found[0].decode("ascii", "replace").strip() if found else ""

    def _newest_pointed_at(self, package: str) -> str:
        """Return the top hash in the newest pointer that holds one, or ""."""
        for number in reversed(self._pointers(package, 1)):
            value = self._value(package, number)
            if TOP_HASH.fullmatch(value):
                return value
        return ""

    def _address(self, name: str) -> S3Address:
        """Return where something of the registry's own lies."""
        return S3Address(self._bucket, f".quilt/{name}")


class _Commit:
    """Makes one revision the latest: once, and only in place of the one it was compared with."""

    def __init__(self, registry: S3Registry, package: str, before: Latest) -> None:
        """Replace what ``latest`` was before."""
        self._registry = registry
        self._package = package
        self._before = before

    def make_latest(self, top_hash: str) -> None:
        """Replace ``latest``, then write the pointer.

        Raises:
            HeadMovedError: ``latest`` is another one by now.
            ProvwatchError: it cannot be written.
        """
        number = self._registry.free_number(self._package, self._before)
        condition = {"IfMatch": self._before.etag} if self._before.etag else {"IfNoneMatch": "*"}
        key = f".quilt/named_packages/{self._package}/{LATEST}"
        self._registry.put(key, top_hash.encode(), condition, {POINTER_MARK: str(number)})
        reach("after_latest")
        try:
            self._registry.point(self._package, number, top_hash)
        except ProvwatchError as error:
            error.hint = f"The revision {top_hash[:10]} is the latest already; run it again to write its pointer too"
            raise
        reach("after_pointer")


class _QuiltClient:
    """The client that quilt3 builds with: it writes the pointer before ``latest``, and this turns the two round."""

    def __init__(self, client: Any, commit: _Commit) -> None:
        """Pass everything on to a client but the two pointers."""
        self._client = client
        self._commit = commit

    def put_object(self, **request: Any) -> Any:
        """Write what quilt3 writes: the manifest as it is, ``latest`` and pointer by our order and conditions."""
        key = request["Key"]
        if _POINTER_KEY.fullmatch(key):
            return {}
        if _LATEST_KEY.fullmatch(key):
            self._commit.make_latest(request["Body"].decode())
            return {}
        answer = self._client.put_object(**request, **sha256_checksum(request["Body"]))
        reach("after_manifest")
        return answer

    def __getattr__(self, name: str) -> Any:
        """Return the client's own operation."""
        return getattr(self._client, name)
