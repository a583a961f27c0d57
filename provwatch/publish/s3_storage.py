"""Where the bytes of packages in a bucket lie: only what the package's head does not hold goes up, the crate last."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from provwatch.aws import ABSENT, S3Address, error_code, explained
from provwatch.errors import CredentialsError, PackagingError
from provwatch.publish.entries import HASH_TYPE, SourceFile
from provwatch.publish.hashing import PART_BYTES
from provwatch.publish.manifest import Head
from provwatch.publish.storage import HOUSE, Blob, Placed, Tell
from provwatch.publish.upload import Inline, Uploader, stop_abandoned
from provwatch.publish.upload_records import Uploaded, UploadRecords

if TYPE_CHECKING:
    from provwatch.publish.folder import Content

UPLOADS = 10
GUESSED_RATE = 25e6
BESIDE_EACH_OTHER_BYTES = 8 * PART_BYTES
MAX_KEY_BYTES = 1_024
OLD_HASH_TYPE = "SHA256"
"""What quilt3 wrote before version 6: hex, of the whole file."""
_Content = tuple[int | None, str, str]
UNVERSIONED = "unversioned-bucket"


class S3Storage:
    """The objects of one package in a bucket, laid out as quilt3's ``push`` does: ``<package>/<logical key>``."""

    def __init__(self, client: Any, bucket: str, package: str, records: UploadRecords, *, bwlimit: int = 0) -> None:
        """Upload with this client.

        Args:
            client: an S3 client.
            bucket: the registry.
            package: name of the package.
            records: what earlier runs uploaded.
            bwlimit: bytes a second at most; 0 for no limit.
        """
        self._client = client
        self._bucket = bucket
        self._package = package
        self._records = records
        self._bwlimit = bwlimit
        self.warnings: set[str] = set()

    def check_names(self, files: Iterable[SourceFile]) -> None:
        """Refuse names that no object can have.

        Raises:
            PackagingError: a key would be too long.
        """
        for file in files:
            size = len(f"{self._package}/{file.logical_key}".encode())
            if size > MAX_KEY_BYTES:
                message = f"its key would take {size:,} bytes, and S3 takes {MAX_KEY_BYTES:,}"
                hint = "Shorten its path, or leave it out with --exclude"
                raise PackagingError(message, where=file.path, hint=hint, code="key-too-long")

    def to_be_written(self, files: Iterable[SourceFile], head: Head | None) -> Iterator[SourceFile]:
        """Yield the files that the head does not hold, judged by path and size."""
        held = {(entry.logical_key, entry.size) for entry in head.entries} if head else set()
        return (file for file in files if (file.logical_key, file.size) not in held)

    def upload_rate(self) -> tuple[float, bool]:
        """Return the limit, else what the last upload to this bucket reached, else a guess."""
        measured = self._records.rate()
        rate = measured or GUESSED_RATE
        return (min(rate, self._bwlimit) if self._bwlimit else rate), bool(measured or self._bwlimit)

    def needs_a_look(self, _files: Iterable[SourceFile]) -> bool:
        """Say that it takes no look: versions never change."""
        return False

    def lies_as_wanted(self, content: Content, head: Head, *, here: bool = False) -> bool:
        """Say whether all of a head's bytes lie in S3; where versions may be overwritten, they are looked for."""
        del content, here
        lost = self._lost(head)
        return all(entry.physical_key.startswith("s3://") and entry.physical_key not in lost for entry in head.entries)

    def _lost(self, head: Head | None) -> set[str]:
        """Return the unversioned physical keys of a head whose objects are gone, or others by now.

        An object that is younger than the manifest was overwritten since, as an upload that was interrupted does.
        """
        own = f"s3://{self._bucket}/{quote(self._package)}/"
        unversioned = [entry for entry in head.entries if "?versionId=" not in entry.physical_key] if head else []
        own_entries = [entry for entry in unversioned if entry.physical_key.startswith(own)]
        if head is None or not own_entries:
            return set()
        made, present = self._made(head), self._present()
        lost = set()
        for entry in own_entries:
            size, written = present.get(S3Address.parse(entry.physical_key).key, (None, made))
            if size != entry.size or written > made:
                lost.add(entry.physical_key)
        return lost

    def _deleted(self, head: Head | None) -> set[str]:
        """Return the versioned physical keys of a head in this package's folder whose versions are not there any more.

        Where versions may not be listed, all of them are believed to be there.
        """
        own = f"s3://{self._bucket}/{quote(self._package)}/"
        entries = [entry.physical_key for entry in head.entries if entry.physical_key.startswith(own)] if head else []
        versioned = {key for key in entries if "?versionId=" in key}
        if not versioned:
            return set()
        try:
            with explained(f"s3://{self._bucket}/{self._package}/"):
                pages = self._client.get_paginator("list_object_versions").paginate(
                    Bucket=self._bucket, Prefix=f"{self._package}/"
                )
                found = [one for page in pages for one in page.get("Versions", ())]
        except CredentialsError:
            return set()
        there = {S3Address(self._bucket, one["Key"], one["VersionId"]) for one in found}
        return {key for key in versioned if S3Address.parse(key) not in there}

    def _made(self, head: Head) -> datetime:
        """Return when the manifest of a head was written."""
        address = S3Address(self._bucket, f".quilt/packages/{head.top_hash}")
        with explained(address.uri):
            made: datetime = self._client.head_object(**address.parameters)["LastModified"]
        return made

    def _present(self) -> dict[str, tuple[int, datetime]]:
        """Return the sizes of the package's objects by key, and when they were written."""
        with explained(f"s3://{self._bucket}/{self._package}/"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._package}/"
            )
            found = [one for page in pages for one in page.get("Contents", ())]
        return {one["Key"]: (one["Size"], one["LastModified"]) for one in found}

    def place(self, blobs: Sequence[Blob], head: Head | None, tell: Tell) -> dict[str, Placed]:
        """Upload what neither the head nor an interrupted run has brought there; return where everything lies.

        Raises:
            ChangedError: a file is not what it was when it was hashed.
            ProvwatchError: S3 cannot be reached, or refuses.
        """
        placed: dict[str, Placed] = {}
        to_send: list[Blob] = []
        held = _Held(head, self._bucket, self._lost(head) | self._deleted(head))
        for blob in blobs:
            uri = held.find(blob, self._key(blob)) or self._sent_before(blob)
            if uri:
                placed[blob.logical_key] = Placed(uri, blob.digest)
            else:
                to_send.append(blob)
        stop_abandoned(self._client, self._bucket, self._records, {self._key(blob): blob for blob in to_send})
        uploader = Uploader(self._client, self._bucket, self._records, tell=tell, bwlimit=self._bwlimit)
        began, size = time.monotonic(), sum(blob.size for blob in to_send)
        for last in (False, True):
            placed.update(self._send([blob for blob in to_send if blob.last is last], uploader))
        if size >= PART_BYTES:
            self._records.keep_rate(size / (time.monotonic() - began))
        return placed

    def _send(self, blobs: list[Blob], uploader: Uploader) -> dict[str, Placed]:
        """Upload: most files beside each other, then very large ones, the parts of each beside each other."""
        once = {self._key(blob): blob for blob in blobs}  # generated files of the same content are one object
        sent: dict[str, Uploaded] = {}
        with ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload") as pool:
            waiting = {
                key: pool.submit(_send_one, uploader, key, blob)
                for key, blob in once.items()
                if blob.size < BESIDE_EACH_OTHER_BYTES
            }
            _finish(waiting.values())
            for key, blob in once.items():
                sent[key] = waiting[key].result() if key in waiting else uploader.send_parts(key, blob, pool)
        if not all(uploaded.version for uploaded in sent.values()):
            self.warnings.add(UNVERSIONED)
        return {
            blob.logical_key: Placed(
                S3Address(self._bucket, self._key(blob), sent[self._key(blob)].version).uri, blob.digest
            )
            for blob in blobs
        }

    def _sent_before(self, blob: Blob) -> str:
        """Return the URI of what an interrupted run uploaded already and is still there, or ""."""
        key = self._key(blob)
        known = self._records.uploaded(key, blob.digest.quilt, blob.size)
        if known is None:
            return ""
        address = S3Address(self._bucket, key, known.version)
        try:
            answer = self._client.head_object(**address.parameters)
        except Exception as error:
            if error_code(error) in ABSENT:
                return ""
            with explained(address.uri):
                raise
        return address.uri if (answer["ETag"], answer["ContentLength"]) == (known.etag, blob.size) else ""

    def tidy(self) -> None:
        """Abort what killed processes left of this package, where there is nothing to upload."""
        stop_abandoned(self._client, self._bucket, self._records, {}, below=f"{self._package}/")

    def settled(self, blobs: Sequence[Blob]) -> None:
        """Say that a package holds these now, so that nobody has to remember what was uploaded for it."""
        self._records.forget([self._key(blob) for blob in blobs])

    def _key(self, blob: Blob) -> str:
        """Return the key of a blob's object; those that are no source file lie by their content, out of the way."""
        if blob.file is None:
            return f"{HOUSE}/objects/{blob.digest.sha256}"
        return f"{self._package}/{blob.logical_key}"


class _Held:
    """What a head holds already, by content; where versions may be overwritten, by path too."""

    def __init__(self, head: Head | None, bucket: str, lost: set[str]) -> None:
        """Look at the entries that lie in S3 and are not lost."""
        self._by_content: dict[_Content, str] = {}
        self._by_key: dict[tuple[str, _Content], str] = {}
        for entry in head.entries if head else ():
            if entry.hash is None or entry.physical_key in lost or not entry.physical_key.startswith("s3://"):
                continue
            address = S3Address.parse(entry.physical_key)
            content = (entry.size, entry.hash.type, entry.hash.value)
            if address.version:
                self._by_key[entry.logical_key, content] = entry.physical_key
                self._by_content.setdefault(content, entry.physical_key)
            elif address.bucket == bucket:
                self._by_key[address.key, content] = entry.physical_key

    def find(self, blob: Blob, key: str) -> str:
        """Return the URI of bytes that the head holds, its own entry's first, or ""."""
        contents: list[_Content] = [(blob.size, HASH_TYPE, blob.digest.quilt)]
        if blob.digest.sha256:
            contents.append((blob.size, OLD_HASH_TYPE, blob.digest.sha256))
        for content in contents:
            uri = (
                self._by_key.get((blob.logical_key, content))
                or self._by_key.get((key, content))
                or self._by_content.get(content)
            )
            if uri:
                return uri
        return ""


def _send_one(uploader: Uploader, key: str, blob: Blob) -> Uploaded:
    """Upload a blob in one thread: whole, or part after part where Quilt's hash is one of parts."""
    return uploader.send_whole(key, blob) if blob.size < PART_BYTES else uploader.send_parts(key, blob, Inline())


def _finish(waiting: Iterable[Future[Any]]) -> None:
    """Wait until all are done; after the first failure those that have not begun never do, and it is raised."""
    waiting = list(waiting)
    done, rest = wait(waiting, return_when=FIRST_EXCEPTION)
    for future in rest:
        future.cancel()
    wait(rest)
    for future in done:
        future.result()
