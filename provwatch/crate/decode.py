"""Bytes of a metadata document to a `Crate`: one pass, tolerant of what real producers write.

Rules: RO-Crate 1.1 and 1.2 (https://w3id.org/ro/crate/1.2), read leniently. ``strict`` refuses what
Quilt's RO-Crate profile (https://w3id.org/quilt/ro-crate) refuses: one ``@id`` with two contents, and
a root ``hasPart`` member that the crate does not describe.
"""

from __future__ import annotations

import codecs
import gc
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from provwatch.crate.model import Crate, Entity, LateIndex, decode_value, index_types, many, references
from provwatch.errors import CrateError

SPEC_PREFIX = re.compile(r"https?://(w3id\.org|purl\.org|purl\.archive\.org)/ro/crate")
DESCRIPTOR_NAMES = (
    "ro-crate-metadata.json",
    "ro-crate-metadata.jsonld",
    "ro-crate-manifest.json",
    "./ro-crate-metadata.json",
)
ROOT_NAMES = ("./", ".", "")
STRICT_PROBLEMS_SHOWN = 20
CHECKED_BYTES = 1 << 20
TOO_DEEP = "the JSON is nested too deeply"


class _Document(msgspec.Struct):
    """The top level of a metadata document, each entity left as it is."""

    graph: list[msgspec.Raw] | None = msgspec.field(name="@graph", default=None)


class _PlainDocument(msgspec.Struct):
    """The top level of a metadata document whose entities are all plain."""

    graph: list[Entity] = msgspec.field(name="@graph")


_decode_document = msgspec.json.Decoder(_Document).decode
_decode_plain = msgspec.json.Decoder(_PlainDocument).decode
_decode_entity = msgspec.json.Decoder(Entity).decode


def decode_crate(
    data: bytes,
    *,
    where: str = "-",
    folder: Path | None = None,
    filename: str = "",
    strict: bool = False,
) -> Crate:
    """Decode a metadata document.

    Args:
        data: the document's bytes; a UTF-8 byte order mark is fine.
        where: what to call the document in messages.
        folder: the local folder it lies in, if any.
        filename: its file name, which helps to find its descriptor.
        strict: refuse what Quilt's profile refuses instead of merging it with a warning.

    Raises:
        CrateError: the bytes are no RO-Crate; the message says where (``file:line:column`` or ``@id``).
    """
    body = data.removeprefix(codecs.BOM_UTF8)
    with _without_garbage_collection():
        graph = _read_graph(body, where)
        builder = _Builder(body, where)
        if not builder.take_plain(graph):
            builder.add_all(graph)
        builder.merge_repeats()
    descriptor_id = _find_descriptor(builder, filename)
    root_id = _find_root(builder, descriptor_id, where)
    warnings = _warnings(builder, descriptor_id, root_id)
    if strict:
        _refuse(builder, root_id, where)
    return Crate(
        where=where,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        folder=folder,
        filename=filename,
        entities=builder.entities,
        raw=builder.raw,
        types=index_types(builder.entities),
        descriptor_id=descriptor_id,
        root_id=root_id,
        duplicates=tuple(sorted(builder.conflicts)),
        warnings=warnings,
    )


def _read_graph(body: bytes, where: str) -> list[msgspec.Raw]:
    """Split the document into the JSON of its entities."""
    try:
        _check_encoding(body)
        document = _decode_document(body)
    except (ValueError, RecursionError) as error:
        raise _json_error(error, body, 0, where) from error
    if document.graph is None:
        message = "this JSON has no @graph, so it is not an RO-Crate metadata document"
        hint = "Give the ro-crate-metadata.json or the folder that holds it"
        raise CrateError(message, where=_place(where, body, 0), hint=hint)
    return document.graph


def _check_encoding(body: bytes) -> None:
    """Raise UnicodeDecodeError where a byte is not UTF-8; the JSON decoder passes over what nobody asks for."""
    if body.isascii():
        return
    decode = codecs.getincrementaldecoder("utf-8")().decode
    for start in range(0, len(body), CHECKED_BYTES):
        decode(body[start : start + CHECKED_BYTES])
    decode(b"", final=True)


def _json_error(error: Exception, body: bytes, offset: int, where: str) -> CrateError:
    """Turn a decoder's exception into one sentence with ``file:line:column``."""
    hint = ""
    if isinstance(error, RecursionError):
        message, position = TOO_DEEP, offset
    elif isinstance(error, UnicodeDecodeError):
        message, position = "the text is not UTF-8", offset + _first_bad_byte(body[offset:])
        hint = "Save the file as UTF-8"
    elif isinstance(error, msgspec.ValidationError):
        expected = "`@graph` must be a list of entities" if "graph" in str(error) else "the top level must be an object"
        message, position = f"not an RO-Crate metadata document: {expected}", offset
    else:
        message, position = _malformed(error, body, offset)
    return CrateError(message, where=_place(where, body, position), hint=hint)


def _place(where: str, body: bytes, position: int) -> str:
    """Return ``file:line:column`` of a byte."""
    line = body.count(b"\n", 0, position) + 1
    column = position - (body.rfind(b"\n", 0, position) + 1) + 1
    return f"{where}:{line}:{column}"


def _malformed(error: Exception, body: bytes, offset: int) -> tuple[str, int]:
    """Name what is wrong with the JSON and the byte it is wrong at."""
    if not body.strip():
        return "the file is empty", 0
    found = re.search(r"\(byte (\d+)\)", str(error))
    if found is None:
        return "the JSON ends in the middle, as if it were still being written", len(body)
    detail = str(error)[: found.start()].strip().removeprefix("JSON is malformed:").strip()
    return f"the JSON is not valid: {detail}", offset + int(found[1])


def _first_bad_byte(body: bytes) -> int:
    """Return the offset of the first byte that is not UTF-8."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Spare the collector millions of objects that are all kept; decoding makes no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Builder:
    """Collects entities by ``@id``: gives ``@id``-less ones a name, takes nested ones out, merges duplicates."""

    def __init__(self, body: bytes, where: str) -> None:
        """Start empty; *body* and *where* are for messages only."""
        self.entities: dict[str, Entity] = {}
        self._own_raw: dict[str, msgspec.Raw] = {}
        self.raw: Mapping[str, msgspec.Raw] = self._own_raw
        self.conflicts: dict[str, None] = {}
        self.odd: dict[str, int] = {}
        self._repeats: dict[str, list[msgspec.Raw]] = {}
        self.body = body
        self.where = where

    def take_plain(self, graph: list[msgspec.Raw]) -> bool:
        """Take up the whole graph at once; False, and nothing done, where an entity is not plain."""
        try:
            entities = _decode_plain(self.body).graph
        except (ValueError, RecursionError):
            return False
        ids = [entity.id for entity in entities]
        named = dict(zip(ids, entities, strict=True)) if set(map(type, ids)) <= {str} else {}
        if len(named) == len(ids):
            self.entities = named
            self.raw = LateIndex(ids, graph)
        else:
            for entity, raw in zip(entities, graph, strict=True):
                self._keep(entity, raw)
        return True

    def add_all(self, graph: list[msgspec.Raw]) -> None:
        """Take up the members of the graph one by one."""
        entities, raws = self.entities, self._own_raw
        for raw in graph:
            try:
                entity = _decode_entity(raw)
            except msgspec.ValidationError:
                self._add_loosely(raw)
                continue
            except (ValueError, RecursionError) as error:
                offset = max(self.body.find(bytes(raw)), 0)
                raise _json_error(error, self.body, offset, self.where) from error
            entity_id = entity.id
            if isinstance(entity_id, str) and entity_id not in entities:
                entities[entity_id] = entity
                raws[entity_id] = raw
            else:
                self._keep(entity, raw)

    def _keep(self, entity: Entity, raw: msgspec.Raw) -> None:
        """File an entity under its ``@id``."""
        entity_id = entity.id
        if not isinstance(entity_id, str):
            value = decode_value(raw)
            self._file({**value, "@id": self._blank_id(value)})
        elif entity_id not in self.entities:
            self.entities[entity_id] = entity
            self._own_raw[entity_id] = raw
        elif self.raw[entity_id] != raw:
            self._repeats.setdefault(entity_id, []).append(raw)

    def _file(self, value: dict[str, Any]) -> None:
        """File an entity that does not stand in the document like this."""
        raw = msgspec.Raw(msgspec.json.encode(value))
        self._keep(_decode_entity(raw), raw)

    def _blank_id(self, value: dict[str, Any]) -> str:
        """Name an entity without ``@id`` by what it says, so that its name does not depend on where it stands."""
        self._count("entity-without-id")
        return f"_:unnamed-{hashlib.sha256(_canonical(value)).hexdigest()[:16]}"

    def _count(self, warning: str) -> None:
        """Remember that something odd was seen once more."""
        self.odd[warning] = self.odd.get(warning, 0) + 1

    def _add_loosely(self, raw: msgspec.Raw) -> None:
        """Take up a member with nested entities, or that is no object at all."""
        try:
            value = decode_value(raw)
            if isinstance(value, dict):
                self._hoist(value)
            else:
                self._count("entity-not-an-object")
        except RecursionError as error:
            offset = max(self.body.find(bytes(raw)), 0)
            raise _json_error(error, self.body, offset, self.where) from error

    def _hoist(self, value: dict[str, Any]) -> str:
        """Replace nested entities by references, file all of them, and return the outer one's ``@id``."""
        own_id = value.get("@id")
        flat = {key: self._flatten(item) for key, item in value.items() if key != "@id"}
        entity_id = own_id if isinstance(own_id, str) else self._blank_id(flat)
        self._file({"@id": entity_id, **flat})
        return entity_id

    def _flatten(self, item: Any) -> Any:
        """Return a property's value with nested entities replaced by references to them."""
        if isinstance(item, list):
            flat: list[Any] = []
            for member in item:
                inner = self._flatten(member)
                flat.extend(inner if isinstance(inner, list) else [inner])
            return flat
        if not isinstance(item, dict):
            return item
        if "@value" in item:
            return self._flatten(item["@value"])
        if "@list" in item:
            return self._flatten(item["@list"])
        if set(item) == {"@id"} and isinstance(item["@id"], str):
            return item
        self._count("nested-entity")
        return {"@id": self._hoist(item)}

    def merge_repeats(self) -> None:
        """Merge the entities that share an ``@id`` into one that does not depend on their order."""
        for entity_id, others in self._repeats.items():
            try:
                versions = [decode_value(raw) for raw in (self.raw[entity_id], *others)]
                if len(set(map(_canonical, versions))) == 1:
                    continue
                keys = dict.fromkeys(key for version in versions for key in version)
                merged = {key: _union(version.get(key) for version in versions) for key in keys}
            except RecursionError as error:
                raise CrateError(TOO_DEEP, where=f"{self.where} @id {entity_id!r}") from error
            self.conflicts[entity_id] = None
            raw = msgspec.Raw(msgspec.json.encode({**merged, "@id": entity_id}))
            self.entities[entity_id], self._own_raw[entity_id] = _decode_entity(raw), raw


def _canonical(value: Any) -> bytes:
    """Return a JSON value's bytes, the same for the same value however its keys are ordered."""
    return msgspec.json.encode(value, order="sorted")


def _union(values: Iterable[Any]) -> Any:
    """Return all values of a property without repeats, in an order that depends only on the values."""
    distinct = {_canonical(item): item for value in values for item in many(value)}
    items = [distinct[key] for key in sorted(distinct)]
    return items[0] if len(items) == 1 else items or None


def _find_descriptor(builder: _Builder, filename: str) -> str:
    """Return the metadata descriptor's ``@id``: by what it says, whatever it is called; "" if there is none."""
    names = tuple(name for name in (filename, *DESCRIPTOR_NAMES) if name)
    for name in names:
        entity = builder.entities.get(name)
        if entity is not None and entity.about is not None and _declares_crate(builder, name):
            return name
    candidates = [entity_id for entity_id, entity in builder.entities.items() if entity.about is not None]
    described = [entity_id for entity_id in candidates if _declares_crate(builder, entity_id)]
    named = [name for name in names if name in candidates]
    if named and not described:
        return named[0]
    by_base = [entity_id for entity_id in candidates if PurePosixPath(entity_id).name in names]
    ranked = sorted(described or by_base, key=lambda entity_id: (entity_id.count("/"), len(entity_id), entity_id))
    return ranked[0] if ranked else ""


def _declares_crate(builder: _Builder, entity_id: str) -> bool:
    """Say whether an entity conforms to a version of the RO-Crate specification."""
    try:
        properties = decode_value(builder.raw[entity_id])
    except RecursionError as error:
        raise CrateError(TOO_DEEP, where=f"{builder.where} @id {entity_id!r}") from error
    conforms = properties.get("conformsTo", properties.get("dct:conformsTo"))
    items = conforms if isinstance(conforms, list) else [conforms]
    ids = [item.get("@id") if isinstance(item, dict) else item for item in items]
    return any(isinstance(target, str) and SPEC_PREFIX.match(target) for target in ids)


def _find_root(builder: _Builder, descriptor_id: str, where: str) -> str:
    """Return the root data entity's ``@id``: what the descriptor is about, else a Dataset called ``./``."""
    wanted: list[str] = []
    if descriptor_id:
        wanted = references(builder.entities[descriptor_id].about)
        for root_id in wanted:
            if root_id in builder.entities:
                return root_id
    for root_id in ROOT_NAMES:
        entity = builder.entities.get(root_id)
        if entity is not None and entity.is_a("Dataset"):
            return root_id
    if wanted:
        message = f"the metadata descriptor is about {wanted[0]!r}, which the crate does not describe"
        raise CrateError(message, where=f"{where} @id {descriptor_id!r}", hint="Add that root data entity to @graph")
    message = "no root data entity: nothing here is a metadata descriptor, and no Dataset is called './'"
    place = _place(where, builder.body, max(builder.body.find(b'"@graph"'), 0))
    raise CrateError(message, where=place, hint="Is this the ro-crate-metadata.json of a crate?")


def _warnings(builder: _Builder, descriptor_id: str, root_id: str) -> tuple[str, ...]:
    """Return the codes of what was odd about the document itself."""
    found = dict(builder.odd)
    if builder.conflicts:
        found["duplicate-id"] = len(builder.conflicts)
    codes = [f"{code}:{count}" for code, count in found.items()]
    if not descriptor_id:
        codes.append("no-descriptor")
    if not builder.entities[root_id].is_a("Dataset"):
        codes.append("root-not-a-dataset")
    return tuple(sorted(codes))


def _refuse(builder: _Builder, root_id: str, where: str) -> None:
    """Raise with every problem that Quilt's profile does not tolerate."""
    problems = [f"two entities with different content share the @id {entity_id!r}" for entity_id in builder.conflicts]
    problems += [
        f"hasPart names {member!r}, which the crate does not describe"
        for member in references(builder.entities[root_id].has_part)
        if member not in builder.entities and not member.startswith(("http://", "https://", "s3://"))
    ]
    if problems:
        shown = "; ".join(problems[:STRICT_PROBLEMS_SHOWN])
        more = len(problems) - STRICT_PROBLEMS_SHOWN
        message = f"{shown}; and {more} more" if more > 0 else shown
        raise CrateError(message, where=where, hint="Without --strict such crates are read with a warning")
