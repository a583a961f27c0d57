"""One look at a folder: its files, its crate, and the package it should be."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from provwatch.config import Settings, home
from provwatch.crate import crate_warnings, find_crates, read_crate_file
from provwatch.description import (
    Description,
    check_unicode,
    folder_uri,
    infer_name,
    normalise_registry,
    validate_name,
)
from provwatch.metadata import Metadata, Sources, derive_metadata, gather, merge_user_metadata, user_given
from provwatch.metadata.redact import Redactor
from provwatch.publish.entries import Scan, scan_folder
from provwatch.publish.fingerprint import probe
from provwatch.publish.folder import FolderOptions, Listing, list_files
from provwatch.publish.hashing import ChangedError
from provwatch.publish.quilt import default_local_registry
from provwatch.report import PackagedFile, generate
from provwatch.request import Request

NO_CRATE = "no-crate"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a folder found.

    Attributes:
        taken_ns: when, nanoseconds since 1970.
        scan: all its files.
        listing: those that are to be packaged.
        sources: the crate and what lies beside it, or None.
        description: the package that it should be, metadata included.
        derived: the metadata that follows from the crate, or None.
    """

    taken_ns: int
    scan: Scan
    listing: Listing
    sources: Sources | None
    description: Description
    derived: Metadata | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that the package is to have."""
        return dict(self.description.metadata or {})

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.listing.files)

    @property
    def told(self) -> dict[str, Any]:
        """What every outcome says of it."""
        return {
            "source": self.description.source_prefix,
            "package": self.description.package_name,
            "registry": self.description.registry,
            "entries": len(self.listing.files),
            "bytes": self.size,
            "warnings": tuple(sorted({*self.metadata.get("warnings", []), *self.listing.warnings})),
            "metadata": self.metadata,
        }


def take_look(request: Request, settings: Settings, check: Callable[[], None]) -> Look:
    """Look at a folder.

    Args:
        request: what to package.
        settings: the settings in force.
        check: called on the way; what it raises ends the look.

    Raises:
        ProvwatchError: the folder, the crate, the name or the metadata cannot be used.
    """
    taken_ns = time.time_ns()
    scan = scan_folder(request.folder, check, own_files(request))
    sources, metadata = _read_sources(request, settings)
    listing = list_files(request.folder, scan, sources, folder_options(settings))
    return Look(taken_ns, scan, listing, sources, _describe(request, settings, sources, metadata), metadata)


def generated_files(look: Look, settings: Settings) -> dict[str, bytes]:
    """Return the files that provwatch adds to the package, by logical key; they follow from the look alone."""
    if not settings["summary"] or not look.listing.files:
        return {}
    files = [PackagedFile(file.logical_key, file.size) for file in look.listing.files]
    name = look.description.package_name
    registry = look.description.registry if look.description.registry.startswith("s3://") else ""
    return generate(look.derived, look.metadata, look.sources, files, title=name, registry=registry)


def cleaned(look: Look, redactor: Redactor) -> Look:
    """Return a look without the secrets that were found only when its files were read.

    Parameter and configuration files give away values that may stand in the metadata, the message and the picture too.
    """
    known = look.sources.redactor if look.sources else Redactor()
    if known.all_literals == redactor.all_literals:
        return look
    description = dataclasses.replace(
        look.description,
        metadata=redactor.tree(look.metadata),
        commit_message=redactor.text(look.description.commit_message or "") or None,
    )
    sources = msgspec.structs.replace(look.sources, redactor=redactor) if look.sources else None
    derived = look.derived and msgspec.structs.replace(
        look.derived, values=redactor.tree(look.derived.values), full=redactor.tree(look.derived.full)
    )
    return dataclasses.replace(look, description=description, sources=sources, derived=derived)


def own_files(request: Request) -> list[Path]:
    """Return what provwatch itself writes, which may lie in the folder: ledger, caches, emitted descriptions."""
    return [home(), *([Path(request.emit)] if request.emit else [])]


def without_secrets(request: Request, look: Look) -> Request:
    """Return a request as it may be remembered: without the secrets that the crate and its side files give away."""
    redactor = look.sources.redactor if look.sources else Redactor()
    message = redactor.text(request.message) if request.message else None
    return dataclasses.replace(request, message=message, metadata=redactor.tree(dict(request.metadata)))


def check_still(look: Look, request: Request) -> None:
    """Refuse a folder that changed since it was looked at.

    Raises:
        ChangedError: something did; the sentence names it.
    """
    before = {file.logical_key: file.signature for file in look.scan.files}
    after = {file.logical_key: file.signature for file in scan_folder(request.folder, never=own_files(request)).files}
    if before != after:
        changed = min(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        hint = "Is the run still writing? Try again when it is done"
        raise ChangedError("changed while the folder was being packaged", where=changed, hint=hint)


def probe_of(look: Look, request: Request, settings: Settings) -> str:
    """Return the probe of a look: this machine's cheap answer to whether anything changed."""
    decisive = {
        **dataclasses.asdict(folder_options(settings)),
        "message": request.message,
        "dedup": settings["dedup"],
        "emit": request.emit,
        "metadata": user_given(look.metadata),
        "workflow": look.description.quilt_workflow,
        "crate": look.sources.crate.sha256 if look.sources else "",
        "volatile": list(settings["volatile"]),
    }
    return probe(look.listing.files, decisive, now_ns=look.taken_ns)


def folder_options(settings: Settings) -> FolderOptions:
    """Return the settings that decide which files become which entries."""
    return FolderOptions(**{option.name: settings[option.name] for option in dataclasses.fields(FolderOptions)})


def describe(request: Request, settings: Settings) -> Description:
    """Return the description of the package that a folder should be; touches nothing.

    Raises:
        ProvwatchError: the crate, the name or the metadata cannot be used.
    """
    sources, metadata = _read_sources(request, settings)
    return _describe(request, settings, sources, metadata)


def _read_sources(request: Request, settings: Settings) -> tuple[Sources | None, Metadata | None]:
    """Return what the folder's crate says, or nothing where it has none."""
    found = [request.crate] if request.crate else find_crates(request.folder)
    if not found:
        return None, None
    sources = gather(read_crate_file(found[0], warnings=crate_warnings(found)))
    return sources, derive_metadata(sources, promote_params=settings["promote_params"])


def _describe(request: Request, settings: Settings, sources: Sources | None, metadata: Metadata | None) -> Description:
    """Return the description that a crate's metadata and a person's words give, without secrets."""
    source = folder_uri(request.folder)
    derived = metadata.values if metadata else {"schema": "1", "warnings": [NO_CRATE]}
    redactor = sources.redactor if sources else Redactor()
    given = redactor.tree(dict(request.metadata))
    merged = merge_user_metadata(derived, given, prefix=settings["metadata_prefix"], user_wins=request.user_wins)
    registry = request.registry or settings["registry"] or default_local_registry()
    name = request.name if request.name is not None else infer_name(source, settings["roots"])
    workflow = request.quilt_workflow if request.quilt_workflow is not None else settings["quilt_workflow"]
    message = check_unicode("the message", request.message) or default_message(derived, request.folder)
    return Description(
        source_prefix=source,
        registry=normalise_registry(registry),
        package_name=validate_name(name),
        metadata=merged,
        commit_message=redactor.text(message),
        quilt_workflow=workflow,
    )


def default_message(metadata: Mapping[str, Any], folder: Path) -> str:
    """Return the commit message made from the run: fixed text, without a clock."""
    pipeline = metadata.get("pipeline")
    if not pipeline:
        return f"Files of {os.fsencode(os.path.realpath(folder)).rpartition(b'/')[2].decode(errors='replace')}"
    version = f" {metadata['pipeline_version']}" if "pipeline_version" in metadata else ""
    run = f" run {metadata['run_name']}" if "run_name" in metadata else ""
    status = f" ({metadata['run_status']})" if metadata.get("run_status") not in {None, "unknown"} else ""
    return f"{pipeline}{version}{run}{status}"
