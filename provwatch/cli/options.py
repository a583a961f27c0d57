"""Options that several commands share, and what they become."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

if TYPE_CHECKING:
    from provwatch.config import Settings
    from provwatch.request import Request

Registry = Annotated[
    str | None, typer.Option("--registry", help="Bucket, s3://bucket or folder. Default: quilt3's local registry.")
]
Name = Annotated[str | None, typer.Option("--name", help="Package name, NAMESPACE/NAME. Default: from the folder.")]
Message = Annotated[str | None, typer.Option("--message", "-m", help="Commit message. Default: made from the run.")]
QuiltWorkflow = Annotated[
    str | None,
    typer.Option("--quilt-workflow", "--workflow", help="Quilt workflow to validate against; '' for none."),
]
UserMetadata = Annotated[
    str | None, typer.Option("--metadata", help="Your own metadata: a JSON object, or a file that holds one.")
]
MetadataPrefix = Annotated[
    str | None, typer.Option("--metadata-prefix", help="Put this in front of the keys of --metadata.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one object, or one a line.")]


def user_metadata(given: str | None) -> dict[str, Any]:
    """Return the user's metadata from the command line.

    Raises:
        UsageError: neither a JSON object nor a file that holds one.
    """
    from provwatch.description import decode_json
    from provwatch.errors import UsageError

    if given is None:
        return {}
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            hint = 'Give a JSON object such as \'{"project": "x"}\', or a file that holds one'
            raise UsageError(f"--metadata cannot be read: {error}", hint=hint) from error
    try:
        value = decode_json(text)
    except ValueError as error:
        raise UsageError(f"--metadata is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError("--metadata must be a JSON object")
    return value


def target(emit: str | None) -> str:
    """Return where to send descriptions, "" where to package.

    Raises:
        UsageError: the option was given, but empty, as an unset variable makes it.
    """
    from provwatch.errors import UsageError

    if emit == "":
        raise UsageError("--emit is empty", hint="Is a variable not set? '-' is stdout")
    return emit or ""


def checked(name: str | None, registry: str | None) -> None:
    """Refuse a name or a registry from the command line that cannot be one, before anything is done.

    Raises:
        UsageError: it cannot be one.
    """
    from provwatch.description import normalise_registry, validate_name
    from provwatch.errors import DescriptionError, UsageError

    try:
        if name is not None:
            validate_name(name)
        if registry is not None:
            normalise_registry(registry)
    except DescriptionError as error:
        raise UsageError(error.message, where=error.where, hint=error.hint, code=error.code) from error


def requests_for(source: str, settings: Settings, **said: Any) -> Request:
    """Return what to package for one SOURCE of the command line.

    Args:
        source: a folder, a crate, a description file, or ``-`` for either of the last two.
        settings: the settings in force.
        said: what the command line says of it, fields of `Request`.

    Raises:
        ProvwatchError: it is none of these.
    """
    import sys

    from provwatch.crate.read import near
    from provwatch.description import expanded, local_path
    from provwatch.errors import UnreachableError, UsageError
    from provwatch.publish.entries import read_error
    from provwatch.request import Request

    if not source:
        raise UsageError("SOURCE is empty", hint="Is a variable not set? '.' is the current folder")
    if source.startswith("s3://"):
        raise UsageError("packaging S3 prefixes is not there yet", where=source, hint="Name a local folder")
    if source == "-":
        return _from_document(_read(sys.stdin.buffer, "-"), Path(), "-", said)
    path = local_path(source) if source.startswith("file://") else expanded(source)
    try:
        if path.is_dir():
            return Request(folder=path, **said)
        if not path.exists():
            raise UnreachableError("no such file or folder", where=source, hint=near(path))
        with path.open("rb") as file:
            data = _read(file, source)
    except OSError as error:
        raise read_error(error, source) from error
    return _from_document(data, path, source, said)


def _read(file: BinaryIO, source: str) -> bytes:
    """Return a document's bytes, unless it is larger than any crate or description."""
    from provwatch.crate.read import MAX_CRATE_BYTES
    from provwatch.errors import UsageError

    data = file.read(MAX_CRATE_BYTES + 1)
    if len(data) > MAX_CRATE_BYTES:
        hint = "Name the folder that holds the results"
        raise UsageError(
            f"larger than {MAX_CRATE_BYTES >> 30} GiB, so no crate and no description", where=source, hint=hint
        )
    return data


def _from_document(data: bytes, path: Path, source: str, said: dict[str, Any]) -> Request:
    """Return the request that a crate or a description makes."""
    from provwatch.errors import UsageError
    from provwatch.request import Request

    keys = _top_keys(data)
    if "@graph" in keys:
        if source == "-":
            raise UsageError("a crate on standard input lies in no folder", hint="Name the folder that holds it")
        return Request(folder=path.absolute().parent, crate=path.absolute(), **said)
    if "source_prefix" in keys:
        return _from_description(data, source, said)
    if data.startswith(b"PK\x03\x04"):
        raise UsageError("this is an archive", where=source, hint="Unpack it, then name the folder")
    hint = "A crate has '@graph', a description has 'source_prefix'"
    raise UsageError("this is neither a crate nor a package description", where=source, hint=hint)


def _top_keys(data: bytes) -> set[str]:
    """Return the keys of a JSON object; of what is none, those of the two deciding ones that stand in it anywhere."""
    import msgspec

    try:
        return set(msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=dict[str, msgspec.Raw]))
    except (ValueError, RecursionError):
        return {key for key in ("@graph", "source_prefix") if f'"{key}"'.encode() in data}


def _from_description(data: bytes, source: str, said: dict[str, Any]) -> Request:
    """Return the request that a description makes; what the command line says comes first."""
    from provwatch.description import decode_message, parse_description
    from provwatch.errors import DescriptionError, UsageError
    from provwatch.request import Request

    document = decode_message(data, where=source)
    description = parse_description(document, where=source)
    if not description.is_local:
        raise UsageError("packaging S3 prefixes is not there yet", where=description.source_prefix)
    metadata = dict(description.metadata or {})
    if description.metadata_uri is not None:
        metadata = _metadata_beside(description.source_prefix, description.metadata_uri)
    if not description.folder.is_dir():
        raise DescriptionError("there is no such folder", where=description.source_prefix)
    given = {
        "name": description.package_name if document.get("package_name") is not None else None,
        "registry": description.registry or None,
        "message": description.commit_message,
        "metadata": metadata,
        "quilt_workflow": description.quilt_workflow,
    }
    merged = {**given, **{name: value for name, value in said.items() if value not in (None, {})}}
    return Request(folder=description.folder, user_wins=True, **merged)


def _metadata_beside(source_prefix: str, uri: str) -> dict[str, Any]:
    """Return the metadata at a URI, which must lie inside the source."""
    from provwatch.description import decode_json, local_path
    from provwatch.errors import DescriptionError

    folder = local_path(source_prefix)
    path = Path(os.path.realpath(local_path(uri))) if uri.startswith("file://") else Path()
    if folder not in path.parents:
        raise DescriptionError("metadata_uri must lie inside source_prefix", where=uri, code="not-allowed")
    try:
        with path.open("rb") as file:
            value = decode_json(_read(file, uri))
    except (OSError, ValueError) as error:
        raise DescriptionError(f"metadata_uri cannot be read: {error}", where=uri) from error
    if not isinstance(value, dict):
        raise DescriptionError("metadata_uri must hold a JSON object", where=uri)
    return {} if "@graph" in value else value
