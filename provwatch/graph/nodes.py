"""One entity of a crate to one node: what to call it, where it lies, and whether it failed."""

from __future__ import annotations

import re

from provwatch.crate import Crate, Entity
from provwatch.crate.model import many, text
from provwatch.crate.runs import NF_PROV_TASK, Task, task_tag
from provwatch.graph.flow import Kind, Node

FOLDER_TYPES = ("Dataset", "Collection", "RepositoryCollection")
COMPRESSED = frozenset({"gz", "bz2", "xz", "zst", "bgz"})
MAX_EXTENSION_CHARACTERS = 12
UNNAMED = "unnamed"
BLANK = "_:"
FAILED = "FailedActionStatus"
HASH_CHARACTERS = 8
PROCESS = re.compile(r"[\w:]+")
QUERY = re.compile(r"[?#]")


def data_node(crate: Crate, entity_id: str, *, published: bool) -> Node:
    """Return the node of a file or folder; one that the crate does not describe is called by its ``@id``."""
    entity = crate.get(entity_id)
    name = _data_name(crate, entity_id, entity)
    if entity is not None and entity.is_a(*FOLDER_TYPES):
        parts = len(many(entity.has_part))
        note = f"{parts} part{'s' if parts > 1 else ''}" if parts else ""
        return Node(Kind.FOLDER, name, note, _place(entity_id), published=published)
    extension = extension_of(entity_id) or extension_of(name)
    extensions = (extension,) if extension else ()
    return Node(Kind.FILE, name, place=_place(entity_id), extensions=extensions, published=published)


def _data_name(crate: Crate, entity_id: str, entity: Entity | None) -> str:
    """Return a file's path where its name says no more than that, else its name, else its ``@id``."""
    name = entity.name if entity is not None else None
    given = name if isinstance(name, str) and name else text(name)
    if given is None and "." not in entity_id.rpartition("/")[2]:  # runcrate calls files by their checksums
        given = text(crate.facts(entity_id).get("alternateName"))
    if given is None:
        own_id = shown_id(entity_id) or UNNAMED
        return own_id.rpartition("/")[2] if entity_id.startswith(NF_PROV_TASK) else own_id
    return entity_id if _is_path(entity_id) and entity_id.endswith("/" + given) else given


def shown_id(entity_id: str) -> str:
    """Return an ``@id`` without the marks of a fragment or URN; "" for the made-up one of a blank node."""
    return "" if entity_id.startswith(BLANK) else entity_id.removeprefix("#").removeprefix("urn:uuid:")


def _is_path(entity_id: str) -> bool:
    """Say whether an ``@id`` is a path in the crate, rather than a URI or a fragment."""
    return entity_id[:1] != "#" and ":" not in entity_id


def _place(entity_id: str) -> str:
    """Return the folder that a file lies in; "" for the top of the crate and what lies nowhere."""
    if entity_id[:1] == "#" or entity_id.startswith(BLANK):
        return ""
    return _path(entity_id).rstrip("/").rpartition("/")[0].removeprefix("./")


def _path(name: str) -> str:
    """Return a URI without its query, which may hold a signature; any other name as it is."""
    return QUERY.split(name, maxsplit=1)[0] if "://" in name else name


def extension_of(name: str) -> str:
    """Return the lower-case extension of a file name, ``fastq.gz`` for compressed ones, or ""."""
    stem, _, last = _path(name).rpartition("/")[2].lower().rpartition(".")
    if not stem or not last.isalnum() or len(last) > MAX_EXTENSION_CHARACTERS:
        return ""
    if last in COMPRESSED:
        inner = stem.rpartition(".")[2]
        if inner != stem and inner.isalnum() and len(inner) <= MAX_EXTENSION_CHARACTERS:
            return f"{inner}.{last}"
    return last


def task_node(crate: Crate, task: Task, *, from_nf_prov: bool) -> Node:
    """Return the node of a task, named after its process; its note tells it from other tasks of that."""
    if from_nf_prov:
        note = task_tag(task.action) or ("" if task.process else task_hash(task.id))
    else:
        note = text(task.action.name) or ""
    name = task.process or _tool_name(crate, task.action) or UNNAMED
    failed = has_failed(task.action, from_nf_prov=from_nf_prov)
    return Node(Kind.TASK, name, "" if note == name else note, failed=int(failed))


def split_process(name: str) -> tuple[str, str]:
    """Split a full process name such as ``RNASEQ:QC:FASTQC`` into its scope, or "", and its own name."""
    if PROCESS.fullmatch(name) is None:  # not a process of Nextflow's but the name of some tool
        return "", name
    scope, _, own = name.rpartition(":")
    return (scope, own) if own else ("", name)


def task_hash(task_id: str) -> str:
    """Return the start of nf-prov's task hash, as Nextflow shows it, or ""."""
    return task_id.removeprefix(NF_PROV_TASK)[:HASH_CHARACTERS] if task_id.startswith(NF_PROV_TASK) else ""


def run_node(crate: Crate, action: Entity, workflow_id: str, *, from_nf_prov: bool) -> Node:
    """Return the node of a run, named after what was run; its note is the run's own name."""
    own = text(action.name) or ""
    workflow = crate.get(workflow_id) if workflow_id else None
    name = text(workflow.name) if workflow is not None else None
    name = name or shown_id(workflow_id) or _tool_name(crate, action) or own or UNNAMED
    note = "run" if from_nf_prov or own in {"", name} else own
    return Node(Kind.RUN, name, note, failed=int(has_failed(action, from_nf_prov=from_nf_prov)))


def _tool_name(crate: Crate, action: Entity) -> str:
    """Return the name of the software that an action used, or "" where the crate does not say."""
    names = (text(tool.name) for tool in crate.linked(action.instrument))
    return next((name for name in names if name), "")


def has_failed(action: Entity, *, from_nf_prov: bool) -> bool:
    """Say whether an action failed; nf-prov marks tasks failed that were not, and then gives no error."""
    for value in many(action.status):
        target = value.get("@id") if isinstance(value, dict) else value
        if isinstance(target, str) and target.endswith(FAILED):
            return not from_nf_prov or text(action.error) is not None
    return False
