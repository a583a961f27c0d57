"""Upload bytes to S3 with SHA-256 checksums, so that what S3 answers is Quilt's hash.

Quilt's ``sha2-256-chunked`` is the SHA-256 of the parts' SHA-256: for a multipart upload of the same parts, S3's own
composite checksum (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from provwatch.aws import ABSENT, error_code, explained, version_of
from provwatch.errors import CredentialsError, PackagingError, ProvwatchError, UnreachableError
from provwatch.publish.entries import SourceFile, read_error
from provwatch.publish.hashing import ChangedError, combine, digest_bytes, part_bytes
from provwatch.publish.storage import Blob, Tell
from provwatch.publish.upload_records import Multipart, Uploaded, UploadRecords

IN_FLIGHT_BYTES = 96 * 1024 * 1024
"""Bytes of parts in memory at once; at least one part, which is larger than 8 MiB for files over 80 GB."""
LOOK_UP_SECONDS = 0.5
"""How often a wait for bandwidth looks whether it is still wanted."""
GONE = "NoSuchUpload"
CHANGED = "changed while it was being uploaded"
WRITING = "Is the run still writing?"


class Uploader:
    """Uploads to one bucket, from several threads."""

    def __init__(self, client: Any, bucket: str, records: UploadRecords, *, tell: Tell, bwlimit: int = 0) -> None:
        """Upload with this client.

        Args:
            client: an S3 client.
            bucket: the bucket.
            records: told of each object as soon as S3 has confirmed it.
            tell: called with numbers of bytes, from any thread; what it raises ends the upload.
            bwlimit: bytes a second at most; 0 for no limit.
        """
        self._client = client
        self._bucket = bucket
        self._records = records
        self._tell = tell
        self._pace = _Pace(bwlimit)

    def send_whole(self, key: str, blob: Blob) -> Uploaded:
        """Upload a blob of one part.

        Raises:
            ChangedError: its file is not what it was when it was hashed.
            ProvwatchError: S3 cannot be reached, or refuses.
        """
        data = _reader(blob)(0, blob.size)
        digest = digest_bytes(data)
        if digest.quilt != blob.digest.quilt:
            raise ChangedError(CHANGED, where=_path(blob), hint=WRITING)
        self._pace.wait(len(data), self._tell)
        checksum = base64.b64encode(bytes.fromhex(digest.sha256)).decode()
        with explained(self._uri(key)):
            answer = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
            )
        self._compare(key, answer.get("ChecksumSHA256"), checksum)
        self._tell(len(data))
        return self._confirmed(key, blob, answer)

    def send_parts(self, key: str, blob: Blob, pool: Executor) -> Uploaded:
        """Upload a large blob in parts, going on with what an interrupted run left.

        Args:
            key: key of the object.
            blob: what to upload.
            pool: where parts are sent beside each other.

        Raises:
            ChangedError: its file is not what it was when it was hashed.
            ProvwatchError: S3 cannot be reached, or refuses.
        """
        left = self._left_behind(key, blob)
        if isinstance(left, Uploaded):
            return left
        upload, there = left or (self._begin(key, blob), {})
        try:
            parts = self._send_each_part(key, blob, upload, there, pool)
            if combine([base64.b64decode(part["ChecksumSHA256"]) for part in parts]) != blob.digest.quilt:
                raise ChangedError(CHANGED, where=_path(blob), hint=WRITING)
            answer = self._complete(key, blob, upload, parts)
        except ProvwatchError as error:
            if error.exit_code == PackagingError.exit_code:  # what is there is of no use to a later run
                abort(self._client, self._bucket, key, upload)
                self._records.ended(key)
            raise
        self._compare(key, answer.get("ChecksumSHA256"), f"{blob.digest.quilt}-{len(parts)}")
        self._records.ended(key)
        return self._confirmed(key, blob, answer)

    def _left_behind(self, key: str, blob: Blob) -> tuple[str, dict[int, dict[str, Any]]] | Uploaded | None:
        """Return what a killed process left of this upload: its id and parts, or the object where it was through."""
        for left in self._records.abandoned():
            if (left.key, left.quilt, left.size) != (key, blob.digest.quilt, blob.size) or not left.upload:
                continue
            if not self._records.take(left):
                continue
            there = parts_of(self._client, self._bucket, key, left.upload)
            if there is None:
                self._records.ended(key)
            found = (left.upload, there) if there is not None else self._completed(key, blob)
            if found is not None:
                return found
        return None

    def _completed(self, key: str, blob: Blob) -> Uploaded | None:
        """Return the object where its upload was completed, and only the answer got lost."""
        answer = self._object_of(key, blob)
        if answer is None:
            return None
        self._tell(blob.size)
        return self._confirmed(key, blob, answer)

    def _object_of(self, key: str, blob: Blob, *, etag: str = "") -> Mapping[str, Any] | None:
        """Return what S3 says of the object at a key if it has the blob's bytes, by S3's own checksum.

        Args:
            key: where it lies.
            blob: what it should be.
            etag: proves it too, where the server keeps no checksums.
        """
        with explained(self._uri(key)):
            try:
                answer: Mapping[str, Any] = self._client.head_object(
                    Bucket=self._bucket, Key=key, ChecksumMode="ENABLED"
                )
            except Exception as error:
                if error_code(error) in ABSENT:
                    return None
                raise
        same = str(answer.get("ChecksumSHA256", "")).startswith(f"{blob.digest.quilt}-")
        return answer if same or (etag and answer["ETag"] == etag) else None

    def _begin(self, key: str, blob: Blob) -> str:
        """Begin a multipart upload; return its id."""
        self._records.begin(key, blob.digest.quilt, blob.size)
        with explained(self._uri(key)):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ChecksumAlgorithm="SHA256")
        self._records.began(key, str(answer["UploadId"]))
        return str(answer["UploadId"])

    def _send_each_part(
        self, key: str, blob: Blob, upload: str, there: Mapping[int, Mapping[str, Any]], pool: Executor
    ) -> list[dict[str, Any]]:
        """Upload the parts beside each other, never more in memory than `IN_FLIGHT_BYTES`."""
        step, read = part_bytes(blob.size), _reader(blob)
        most = max(1, IN_FLIGHT_BYTES // step)
        waiting: deque[Future[dict[str, Any]]] = deque()
        parts: list[dict[str, Any]] = []
        try:
            for number, start in enumerate(range(0, blob.size, step), 1):
                size = min(step, blob.size - start)
                bytes_of_part = partial(read, start, size)
                waiting.append(pool.submit(self._send_part, key, upload, number, bytes_of_part, there.get(number)))
                if len(waiting) >= most:
                    parts.append(waiting.popleft().result())
            while waiting:
                parts.append(waiting.popleft().result())
        finally:
            for future in waiting:
                if not future.cancel():
                    future.exception()
        return parts

    def _send_part(
        self, key: str, upload: str, number: int, read: Callable[[], bytes], there: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Upload one part, unless it is there; return how `complete_multipart_upload` wants it named."""
        data = read()
        size = len(data)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if there is not None and (there.get("Size"), there.get("ChecksumSHA256")) == (size, checksum):
            etag = there["ETag"]
        else:
            self._pace.wait(size, self._tell)
            with explained(self._uri(key)):
                answer = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    Body=data,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                )
            self._compare(key, answer.get("ChecksumSHA256"), checksum)
            etag = answer["ETag"]
        self._tell(size)
        return {"PartNumber": number, "ETag": etag, "ChecksumSHA256": checksum}

    def _complete(self, key: str, blob: Blob, upload: str, parts: list[dict[str, Any]]) -> Mapping[str, Any]:
        """Complete a multipart upload; where the answer does not prove it, look what became of it.

        The answer to a first try may get lost; and an upload may have been aborted by somebody else, which some servers
        take for completed where an older object lies at the key.
        """
        answer: Mapping[str, Any] = {}
        with explained(self._uri(key)):
            try:
                answer = self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
            except Exception as error:
                found = self._object_of(key, blob) if error_code(error) == GONE else None
                if found is None:
                    raise
                answer = found
        if answer.get("ChecksumSHA256"):
            return answer
        found = self._object_of(key, blob, etag=str(answer["ETag"]))
        if found is None:
            message, hint = "another object lies there than was uploaded", "Run it again; nothing was published"
            raise UnreachableError(message, where=self._uri(key), hint=hint, code="aborted")
        return found

    def _compare(self, key: str, said: str | None, sent: str) -> None:
        """Compare S3's checksum with ours; a server that gives none has at least checked the one it was sent."""
        if said is not None and said != sent:
            message = f"S3 says it has {said}, and {sent} was sent"
            raise PackagingError(message, where=self._uri(key), hint="Run it again", code="wrong-checksum")

    def _confirmed(self, key: str, blob: Blob, answer: Mapping[str, Any]) -> Uploaded:
        """Remember an object that S3 has confirmed."""
        uploaded = Uploaded(version_of(dict(answer)), str(answer["ETag"]))
        self._records.keep(key, blob.digest.quilt, blob.size, uploaded)
        return uploaded

    def _uri(self, key: str) -> str:
        """Return what errors call an object."""
        return f"s3://{self._bucket}/{key}"


class Inline(Executor):
    """An executor that does everything at once, in the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function now; its error is raised when its result is asked for."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - handed on, as every executor does
            future.set_exception(error)
        return future


class _Pace:
    """Keeps many threads together under a number of bytes a second."""

    def __init__(self, limit: int) -> None:
        """Allow *limit* bytes a second; 0 for all there are."""
        self._limit = limit
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def wait(self, size: int, tell: Tell) -> None:
        """Wait until so many bytes may be sent; *tell* is called before, and on the way, as it may end the upload."""
        tell(0)
        if not self._limit:
            return
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + size / self._limit
        while (left := start - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_UP_SECONDS))
            tell(0)


def stop_abandoned(
    client: Any, bucket: str, records: UploadRecords, wanted: Mapping[str, Blob], *, below: str = ""
) -> None:
    """Abort the multipart uploads that killed processes left and nobody will go on with.

    Args:
        client: an S3 client.
        bucket: the bucket.
        records: where they are remembered.
        wanted: what is about to be uploaded, by key; uploads of the same content are left to be taken up.
        below: what the keys begin with that this is about.
    """
    for left in records.abandoned():
        if not left.key.startswith(below):
            continue
        blob = wanted.get(left.key)
        useful = blob is not None and (blob.digest.quilt, blob.size) == (left.quilt, left.size)
        if left.upload and useful:
            continue
        if not records.take(left):
            continue
        with suppress(CredentialsError):  # who may not tidy up may upload all the same
            for upload in [left.upload] if left.upload else _begun(client, bucket, left, records.known(left.key)):
                abort(client, bucket, left.key, upload)
            records.ended(left.key)


def _begun(client: Any, bucket: str, left: Multipart, known: Collection[str]) -> list[str]:
    """Return the uploads under a key whose process died before it could note the id; those of others are known."""
    with explained(f"s3://{bucket}/{left.key}"):
        answer = client.list_multipart_uploads(Bucket=bucket, Prefix=left.key)
    found = [found["UploadId"] for found in answer.get("Uploads", ()) if found["Key"] == left.key]
    return [upload for upload in found if upload not in known]


def abort(client: Any, bucket: str, key: str, upload: str) -> None:
    """Abort a multipart upload; one that is gone is as good."""
    with explained(f"s3://{bucket}/{key}"):
        try:
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        except Exception as error:
            if error_code(error) != GONE:
                raise


def parts_of(client: Any, bucket: str, key: str, upload: str) -> dict[int, dict[str, Any]] | None:
    """Return the parts that an upload has, by number, or None where it is gone."""
    parts: dict[int, dict[str, Any]] = {}
    with explained(f"s3://{bucket}/{key}"):
        try:
            for page in client.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=upload):
                parts |= {part["PartNumber"]: part for part in page.get("Parts", ())}
        except Exception as error:
            if error_code(error) == GONE:
                return None
            raise
    return parts


def _reader(blob: Blob) -> Callable[[int, int], bytes]:
    """Return what reads a range of a blob's bytes: its offset and size."""
    if blob.file is not None:
        return partial(_read, blob.file)
    made = blob.make() if blob.make is not None else b""
    return lambda start, size: made[start : start + size]


def _read(file: SourceFile, start: int, size: int) -> bytes:
    """Return a range of a file's bytes.

    Raises:
        ChangedError: the file is not what the scan saw.
    """
    try:
        with Path(file.path).open("rb", buffering=0) as opened:
            status = os.fstat(opened.fileno())
            data = os.pread(opened.fileno(), size, start)
            while len(data) < size:
                more = os.pread(opened.fileno(), size - len(data), start + len(data))
                if not more:
                    raise ChangedError("became shorter while it was being uploaded", where=file.path, hint=WRITING)
                data += more
    except OSError as error:
        raise read_error(error, file.path) from error
    if (status.st_size, status.st_mtime_ns, status.st_ino) != (file.size, file.mtime_ns, file.inode):
        raise ChangedError(CHANGED, where=file.path, hint=WRITING)
    return data


def _path(blob: Blob) -> str:
    """Return what errors call a blob's bytes."""
    return blob.file.path if blob.file is not None else blob.logical_key
