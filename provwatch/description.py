"""The package description: Quilt's SQS message, with local folders as provwatch's extension.

Fields and name inference are those of Quilt's Packaging Engine
(https://docs.quilt.bio/quilt-platform-catalog-user/packaging); unknown fields are an error here.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urljoin, urlsplit

from provwatch.errors import DescriptionError

FIELDS = (
    "source_prefix",
    "registry",
    "package_name",
    "metadata",
    "metadata_uri",
    "commit_message",
    "workflow",
)
PACKAGE_NAME = re.compile(r"[\w-]+/[\w-]+")
BUCKET = re.compile(r"[\w.\-]+", re.ASCII)
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.\-_]{1,61}[a-z0-9]", re.IGNORECASE)
DEFAULT_PREFIX = "package"
DEFAULT_SUFFIX = "null"
MAX_KEY_BYTES = 1_024
MAX_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Description:
    """What a package should be.

    Attributes:
        source_prefix: URI of the folder, ending in ``/``.
        registry: ``s3://bucket`` or a ``file://`` URI.
        package_name: ``namespace/name``.
        metadata: the package's metadata, or None.
        metadata_uri: absolute URI of a JSON object with the metadata, or None.
        commit_message: the revision's message, or None.
        quilt_workflow: Quilt's validation rule: None for the registry's default, "" for none.
    """

    source_prefix: str
    registry: str
    package_name: str
    metadata: Mapping[str, Any] | None = None
    metadata_uri: str | None = None
    commit_message: str | None = None
    quilt_workflow: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether the source is a local folder."""
        return self.source_prefix.startswith("file://")

    @property
    def folder(self) -> Path:
        """The local folder; only for local sources."""
        return local_path(self.source_prefix)


def folder_uri(folder: Path) -> str:
    """Return the ``file://`` URI of a folder, ending in ``/``."""
    return f"{Path(os.path.realpath(folder)).as_uri().removesuffix('/')}/"


def local_path(uri: str) -> Path:
    """Return the path a ``file://`` URI names, its bytes unchanged; a bare ``#`` or ``?`` is part of the name.

    Raises:
        DescriptionError: it names another host, or no absolute path.
    """
    host, slash, path = uri.removeprefix("file://").partition("/")
    if host not in {"", "localhost"} or not slash or "\x00" in unquote(path):
        raise DescriptionError("this is no path on this machine", where=uri, hint="Use file:///folder/")
    return Path("/", os.fsdecode(unquote_to_bytes(os.fsencode(path))))


def expanded(path: str) -> Path:
    """Return a path with a leading ``~`` replaced; that of a user whom nobody knows stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises RuntimeError for unknown users


def parse_description(data: bytes | str | Mapping[str, Any], *, where: str = "") -> Description:
    """Return the description a message gives, with everything optional filled in.

    Args:
        data: the message, as JSON or decoded.
        where: what to call it in errors.

    Raises:
        DescriptionError: it is no description; the sentence names the field.
    """
    message = data if isinstance(data, Mapping) else decode_message(data, where=where)
    _check_fields(message, where)
    source = _text(message, "source_prefix", where)
    if source is None:
        hint = "Name the folder to package, such as s3://bucket/results/run1/"
        raise DescriptionError("source_prefix is required", where=where, hint=hint)
    source_prefix = normalise_source(source, where=where)
    name = _text(message, "package_name", where)
    registry = _text(message, "registry", where)
    metadata_uri = _text(message, "metadata_uri", where)
    return Description(
        source_prefix=source_prefix,
        registry=normalise_registry(registry) if registry else _registry_of(source_prefix),
        package_name=validate_name(name) if name is not None else infer_name(source_prefix),
        metadata=_metadata(message, where),
        metadata_uri=urljoin_s3(source_prefix, metadata_uri) if metadata_uri else None,
        commit_message=_text(message, "commit_message", where),
        quilt_workflow=_text(message, "workflow", where),
    )


def decode_message(data: bytes | str, *, where: str = "") -> dict[str, Any]:
    """Return the JSON object in a message.

    Raises:
        DescriptionError: it is none.
    """
    try:
        message = decode_json(data)
    except ValueError as error:
        raise DescriptionError(f"not JSON: {error}", where=where) from error
    if not isinstance(message, dict):
        raise DescriptionError("a package description is a JSON object", where=where)
    return message


def decode_json(data: bytes | str) -> Any:
    """Return a JSON value that can go into a manifest: Python also reads what JSON does not have.

    Raises:
        ValueError: not JSON, or with NaN, infinity, half a character or beyond all measure of nesting in it.
    """
    try:
        value = json.loads(data)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair is no character") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _is_deeper(value, MAX_LEVELS):
        raise ValueError(f"nested more than {MAX_LEVELS} levels deep")
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    """Say whether a JSON value is nested more than so many levels deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (levels == 0 or any(_is_deeper(item, levels - 1) for item in inner))


def _check_fields(message: Mapping[str, Any], where: str) -> None:
    """Refuse fields that Quilt does not know, and the two that exclude each other."""
    for name in message:
        if name not in FIELDS:
            close = difflib.get_close_matches(str(name), FIELDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known fields: {', '.join(FIELDS)}"
            raise DescriptionError(f"unknown field {name!r}", where=where, hint=hint)
    if message.get("metadata") is not None and message.get("metadata_uri") is not None:
        raise DescriptionError("metadata and metadata_uri are mutually exclusive", where=where)


def _text(message: Mapping[str, Any], name: str, where: str) -> str | None:
    """Return a text field, or None where it is absent or null."""
    value = message.get(name)
    if value is not None and not isinstance(value, str):
        raise DescriptionError(f"{name} must be text, not {type(value).__name__}", where=where)
    return check_unicode(name, value, where=where)


def check_unicode(name: str, value: str | None, *, where: str = "") -> str | None:
    """Return a text that a manifest can hold.

    Raises:
        DescriptionError: it is made from bytes that are not UTF-8, or holds half a character.
    """
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise DescriptionError(f"{name} must be Unicode, not {value!r}", where=where) from None
    return value


def _metadata(message: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
    """Return the metadata field, or None."""
    value = message.get("metadata")
    if value is not None and not isinstance(value, dict):
        raise DescriptionError(f"metadata must be an object, not {type(value).__name__}", where=where)
    return value


def normalise_source(uri: str, *, where: str = "") -> str:
    """Return the folder a source URI names: up to its last ``/``, as Quilt does.

    Raises:
        DescriptionError: neither ``s3://bucket/...`` nor ``file:///...``, or not a usable key.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() == "s3" and BUCKET.fullmatch(bucket):
        key = re.sub(r"\?versionId=[^?]*$", "", key)
        if "\x00" in unquote(key) or len(unquote_to_bytes(os.fsencode(key))) > MAX_KEY_BYTES:
            raise DescriptionError("source_prefix is no usable S3 key", where=where)
        folder = key[: key.rfind("/") + 1].replace("#", "%23").replace("?", "%3F")
        return f"s3://{bucket}/{folder}"
    if scheme.lower() == "file":
        return folder_uri(local_path(f"file://{rest[: rest.rfind('/') + 1]}"))
    hint = "Use s3://bucket/folder/ or file:///folder/"
    raise DescriptionError(f"source_prefix {uri!r} is neither an S3 nor a local URI", where=where, hint=hint)


def urljoin_s3(base: str, reference: str) -> str:
    """Resolve a reference against a source prefix by RFC 3986, for the ``s3`` scheme too.

    Raises:
        DescriptionError: the reference is none.
    """
    scheme, _, rest = base.partition("://")
    try:
        if urlsplit(reference).scheme:
            return reference
        joined = urljoin(f"http://{rest}", reference)
    except ValueError as error:
        raise DescriptionError(f"metadata_uri {reference!r} is no URI: {error}") from error
    return f"{scheme}://{joined.removeprefix('http://')}"


def normalise_registry(registry: str) -> str:
    """Return a registry as a URI: a bucket name, ``s3://bucket``, a ``file://`` URI or a local path.

    Raises:
        DescriptionError: none of these.
    """
    if registry.startswith("s3://"):
        registry = registry[len("s3://") :].rstrip("/")
        if "/" in registry:
            hint = f"A Quilt registry is a whole bucket: s3://{registry.partition('/')[0]}"
            raise DescriptionError("a registry cannot be a folder of a bucket", where=f"s3://{registry}", hint=hint)
    elif registry.startswith("file://"):
        return _registry_folder(local_path(registry))
    elif "://" not in registry and ("/" in registry or registry.startswith((".", "~"))):
        return _registry_folder(expanded(registry))
    if not BUCKET_NAME.fullmatch(registry):
        hint = "Give a bucket name, s3://bucket, or a folder such as ./registry"
        raise DescriptionError(f"{registry!r} is no registry", hint=hint)
    return f"s3://{registry}"


def _registry_folder(folder: Path) -> str:
    """Return the URI of a local registry; quilt3 reads and writes paths as text, so it must be some."""
    real = os.path.realpath(folder)
    try:
        real.encode()
    except UnicodeEncodeError:
        message = "a registry's path must be UTF-8: Quilt keeps it as text"
        raise DescriptionError(message, where=ascii(real), hint="Give another folder") from None
    return Path(real).as_uri()


def _registry_of(source_prefix: str) -> str:
    """Return the registry for a source that names none: its own bucket; "" for local folders."""
    return f"s3://{urlsplit(source_prefix).netloc}" if source_prefix.startswith("s3://") else ""


def infer_name(source_prefix: str, roots: Iterable[str] = ()) -> str:
    """Return the package name Quilt infers from a prefix: ``my/s3/folder/`` gives ``my_s3/folder``.

    Args:
        source_prefix: URI of the folder.
        roots: local folders; the longest that holds the source is where its name starts. Without one,
            a local folder's name starts at its parent.
    """
    if source_prefix.startswith("file://"):
        parts = _local_parts(local_path(source_prefix), roots)
    else:
        parts = [part for part in unquote(source_prefix.removeprefix("s3://").partition("/")[2]).split("/") if part]
    clean = [re.sub(r"[^\w-]", "-", part) for part in parts]
    if not clean:
        return f"{DEFAULT_PREFIX}/{DEFAULT_SUFFIX}"
    return f"{'_'.join(clean[:-1]) or DEFAULT_PREFIX}/{clean[-1]}"


def _local_parts(folder: Path, roots: Iterable[str]) -> list[str]:
    """Return a local folder's name parts: its root's base name and the path below that root."""
    resolved = [Path(os.path.realpath(expanded(root))) for root in roots]
    holding = [root for root in resolved if root in folder.parents]
    root = max(holding, key=lambda candidate: len(candidate.parts), default=folder.parent)
    return [part for part in (root.name, *folder.relative_to(root).parts) if part]


def validate_name(name: str) -> str:
    """Return a package name that Quilt takes.

    Raises:
        DescriptionError: it is not ``namespace/name`` of letters, digits, ``_`` and ``-``.
    """
    if PACKAGE_NAME.fullmatch(name) is None:
        hint = "Use NAMESPACE/NAME with letters, digits, '-' and '_'"
        raise DescriptionError(f"{name!r} is not a package name", hint=hint, code="invalid-name")
    return name


def serialise(description: Description) -> dict[str, Any]:
    """Return Quilt's message for a description; absent fields are left out, S3 registries by bucket name."""
    message: dict[str, Any] = {
        "source_prefix": description.source_prefix,
        "registry": description.registry.removeprefix("s3://"),
        "package_name": description.package_name,
        "metadata": dict(description.metadata) if description.metadata is not None else None,
        "metadata_uri": description.metadata_uri,
        "commit_message": description.commit_message,
        "workflow": description.quilt_workflow,
    }
    return {name: value for name, value in message.items() if value is not None}
