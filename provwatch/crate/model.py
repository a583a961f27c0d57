"""A decoded crate: its entities by ``@id``, cheap to walk, with every property at hand when asked for.

Walking a crate of a million entities needs few properties of each, so an `Entity` holds only those.
All others are decoded from the entity's own bytes when somebody asks for them (`Crate.properties`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from provwatch.errors import CrateError


class Reference(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A reference such as ``{"@id": "main.nf"}``; anything that says more is a nested entity."""

    id: str | None = msgspec.field(name="@id")


Scalar = Reference | str | int | float | bool | None
Links = Scalar | list[Scalar]


class Entity(msgspec.Struct, gc=False, kw_only=True):
    """The properties of an entity that are needed to find one's way in a crate."""

    id: Any = msgspec.field(name="@id", default=None)
    type: Any = msgspec.field(name="@type", default=None)
    name: Any = None
    about: Links = None
    error: Any = None
    has_part: Links = msgspec.field(name="hasPart", default=None)
    instrument: Links = None
    main_entity: Links = msgspec.field(name="mainEntity", default=None)
    mentions: Links = None
    object: Links = None
    result: Links = None
    status: Any = msgspec.field(name="actionStatus", default=None)

    def is_a(self, *types: str) -> bool:
        """Say whether the entity has one of these types, with or without a prefix such as ``schema:``."""
        own = self.type
        if isinstance(own, str):
            return own in types or (":" in own and own.rsplit(":", 1)[-1] in types)
        if isinstance(own, list):
            return any(isinstance(t, str) and t.rsplit(":", 1)[-1] in types for t in own)
        return False


BLANK_NODE = "_:"
LINK_LISTS = frozenset({"hasPart", "mentions", "object", "result"})
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_value(raw: msgspec.Raw) -> Any:
    """Return the JSON value in *raw*; a number that is too large to count with stays text, as it is written."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return json.loads(bytes(raw), parse_float=_number, parse_int=_number)


def _number(written: str) -> int | float | str:
    """Return a number, or its text where that says more."""
    try:
        return int(written)
    except ValueError:
        number = float(written)
        return number if math.isfinite(number) else written


def index_types(entities: Mapping[str, Entity]) -> dict[str, list[str]]:
    """Return the ``@id``s of the entities of each type; ``schema:File`` and ``File`` share one list."""
    index: dict[str, list[str]] = {}
    for entity_id, entity in entities.items():
        own = entity.type
        if isinstance(own, str) and own in index:
            index[own].append(entity_id)
            continue
        for kind in many(own):
            if isinstance(kind, str):
                named = index.setdefault(kind, index.setdefault(kind.rsplit(":", 1)[-1], []))
                if not named or named[-1] != entity_id:  # File and schema:File at once are one type
                    named.append(entity_id)
    return index


def references(links: Links) -> list[str]:
    """Return the ``@id``s a property points at, in its order; a bare string counts as one."""
    if isinstance(links, Reference):
        return [links.id] if links.id is not None else []
    if isinstance(links, list):
        targets = [item.id if isinstance(item, Reference) else item for item in links]
        return [target for target in targets if isinstance(target, str)]
    return [links] if isinstance(links, str) else []


def many(value: Any) -> list[Any]:
    """Return a property's values as a list, without nulls; JSON-LD writes a list of one as the one."""
    if isinstance(value, list):
        return [item for item in value if item is not None]
    return [] if value is None else [value]


def text(value: Any) -> str | None:
    """Return the first value of a property as text, or None; ``{"@value": ...}`` is unpacked."""
    for item in many(value):
        inner = item.get("@value") if isinstance(item, Mapping) else item
        if isinstance(inner, bool):
            return "true" if inner else "false"
        if isinstance(inner, str | int | float) and str(inner).strip():
            return str(inner).strip()
    return None


def named(entity_id: Any) -> str | None:
    """Return an ``@id`` that means something to people; None for blank nodes, which are called anything."""
    return entity_id if isinstance(entity_id, str) and entity_id and not entity_id.startswith(BLANK_NODE) else None


def instant(written: str | None) -> float:
    """Return seconds since 1970 for an ISO 8601 time, without a zone as if in UTC; minus infinity for anything else."""
    try:
        moment = datetime.fromisoformat(written or "")
    except ValueError:
        return -math.inf
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class LateIndex(Mapping[str, msgspec.Raw]):
    """The JSON of entities by ``@id``, searched in the file's order until an index pays.

    What people ask for stands near the start of a crate; an index of a million entities for that would take
    longer than everything that is asked.
    """

    def __init__(self, ids: list[str], raw: list[msgspec.Raw]) -> None:
        """Take *ids*, each once, and the JSON of each."""
        self._ids = ids
        self._raw = raw
        self._steps = 0
        self._index: dict[str, msgspec.Raw] | None = None

    def __getitem__(self, entity_id: str) -> msgspec.Raw:
        """Return the JSON of one entity."""
        if self._index is None and self._steps > len(self._ids):
            self._index = dict(zip(self._ids, self._raw, strict=True))
        if self._index is not None:
            return self._index[entity_id]
        try:
            place = self._ids.index(entity_id)
        except ValueError:
            self._steps += len(self._ids)
            raise KeyError(entity_id) from None
        self._steps += place
        return self._raw[place]

    def __iter__(self) -> Iterator[str]:
        """Yield the ``@id``s in the file's order."""
        return iter(self._ids)

    def __len__(self) -> int:
        """Return the number of entities."""
        return len(self._ids)


class Crate(msgspec.Struct, frozen=True, eq=False):
    """One RO-Crate, as its metadata document says it.

    Attributes:
        where: the file, archive member or URI it was read from, for messages.
        sha256: hex digest of the metadata document's bytes.
        size: bytes of the metadata document.
        folder: the local folder that holds the document, or None (standard input, archive).
        filename: the document's own file name, or "".
        entities: every entity by ``@id``; duplicates merged.
        raw: the JSON of each entity, by ``@id``.
        types: the ``@id``s of the entities of each type, without prefixes such as ``schema:``.
        descriptor_id: ``@id`` of the metadata descriptor, or "" when the crate has none.
        root_id: ``@id`` of the root data entity.
        duplicates: ``@id``s that stood in the crate twice with different content.
        warnings: codes of what was odd and survived.
        beside: bytes of what lies beside the document in an archive and is worth reading, by file name.
    """

    where: str
    sha256: str
    size: int
    folder: Path | None
    filename: str
    entities: Mapping[str, Entity]
    raw: Mapping[str, msgspec.Raw]
    types: Mapping[str, list[str]]
    descriptor_id: str
    root_id: str
    duplicates: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    beside: Mapping[str, bytes] = {}

    @property
    def root(self) -> Entity:
        """The root data entity."""
        return self.entities[self.root_id]

    def get(self, entity_id: str) -> Entity | None:
        """Return the entity with this ``@id``, or None where a reference dangles."""
        return self.entities.get(entity_id)

    def of_type(self, *types: str) -> Iterator[tuple[str, Entity]]:
        """Yield ``@id`` and entity of everything that has one of these types, each once."""
        lists = [self.types[kind] for kind in types if kind in self.types]
        found = lists[0] if len(lists) == 1 else dict.fromkeys(chain.from_iterable(lists))
        for entity_id in found:
            yield entity_id, self.entities[entity_id]

    def linked(self, links: Links) -> Iterator[Entity]:
        """Yield the entities that a property points at, each once, without those the crate does not describe."""
        for target in dict.fromkeys(references(links)):
            entity = self.entities.get(target)
            if entity is not None:
                yield entity

    def properties(self, entity_id: str) -> dict[str, Any]:
        """Return every property of an entity, without nulls; empty when the crate does not describe it."""
        return self._decoded(entity_id, frozenset())

    def facts(self, entity_id: str) -> dict[str, Any]:
        """Return the properties of an entity but the lists of links that `Entity` holds, which may be huge."""
        return self._decoded(entity_id, LINK_LISTS)

    def _decoded(self, entity_id: str, passed_over: frozenset[str]) -> dict[str, Any]:
        """Return the properties of an entity, without nulls, but those passed over."""
        if entity_id not in self.entities:
            return {}
        try:
            parts = _decode_parts(self.raw[entity_id])
            decoded = {key: decode_value(part) for key, part in parts.items() if key not in passed_over}
        except RecursionError as error:
            raise CrateError("the JSON is nested too deeply", where=f"{self.where} @id {entity_id!r}") from error
        return {key: value for key, value in decoded.items() if value is not None}

    def resolve(self, value: Any) -> list[dict[str, Any]]:
        """Return the described things a property holds, as property tables, in its order, each entity once.

        References are followed; a nested entity stands for itself; a reference that dangles gives its
        ``@id`` alone; a bare string gives ``{"name": string}``, unless it is the ``@id`` of an entity.
        """
        resolved = []
        seen: set[str] = set()
        for item in many(value):
            target = item.get("@id") if isinstance(item, Mapping) else item
            if isinstance(target, str):
                if target in seen:
                    continue
                seen.add(target)
            known = self.properties(target) if isinstance(target, str) else {}
            if isinstance(item, Mapping):
                resolved.append({**item, **known})
            elif isinstance(item, str):
                resolved.append(known or {"name": item})
        return resolved
