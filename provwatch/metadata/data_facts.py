"""What went in and came out, the tasks, and the means: parameters, software, containers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from provwatch.crate import Crate, Entity
from provwatch.crate.model import BLANK_NODE, many, named, references, text
from provwatch.crate.runs import ACTION_TYPES, NF_PROV_OUTPUT, NF_PROV_TASK, task_tag
from provwatch.metadata.redact import REDACTED, is_secret_name, is_secret_value, redact_tree
from provwatch.metadata.run_facts import action_status
from provwatch.metadata.sizes import Sizes
from provwatch.metadata.sources import Sources, Values, parameter_name

DATA_TYPES = ("File", "MediaObject", "Dataset")
DATA_SCHEMES = ("file:", "http:", "https:", "s3:", "gs:", "az:", "ftp:", "drs:", "abfs:")
COMPRESSED = frozenset({"gz", "bz2", "xz", "zst", "bgz"})
MAX_EXTENSION_CHARACTERS = 12
FILE_TAG = re.compile(
    r"[/\\]|\.(?:fa|fasta|fna|gtf|gff3?|bed|csv|tsv|txt|json|ya?ml|html|vcf|bam|cram|f(?:ast)?q|gz|zip|tar)\b",
    re.IGNORECASE,
)
_STATUS = {  # how nf-prov spells them, so that a million need no parsing
    "http://schema.org/CompletedActionStatus": "succeeded",
    "http://schema.org/FailedActionStatus": "failed",
}
BYTE_COUNT = re.compile(r"[0-9]{1,15}")  # a petabyte; what says more is no size of a file
NOTEBOOK_ENTRY = "quilt/ro-crate#ELNEntry"
IMAGE_TYPES = ("ContainerImage", "DockerImage", "SIFImage")
IMAGE_NAME = re.compile(r"(?:[a-z+]+://)?[\w.\-]+(?::\d+)?(?:/[\w.\-]+)+:[\w.\-]+")
IMAGE_DIGEST = "@sha256:"
SCHEME = re.compile(r"^[a-z][a-z0-9+.\-]*://", re.IGNORECASE)


def data_facts(sources: Sources) -> Values:
    """Return the inputs and outputs of the run: which, how many, how large."""
    run = sources.view.run
    if run is None:
        return {}
    values: Values = {}
    if run.action.object is not None:
        inputs = sorted(_inputs(sources.crate, run.action))
        values["inputs"] = [sources.redactor.text(_label(sources.crate, item)) for item in inputs]
        values["input_count"] = len(inputs)
        values["input_digests"] = list(_digests(sources.crate, inputs))
    if run.action.result is not None:
        outputs = sorted(set(_data_ids(sources.crate, references(run.action.result))))
        values["output_count"] = len(outputs)
        values["output_types"] = _types(sources.crate, outputs)
        values["output_bytes"] = _total_bytes(sources.crate, outputs)
    return values


def _inputs(crate: Crate, run: Entity) -> set[str]:
    """Return the run's input files and folders, without nf-prov's outputs and intermediates among them."""
    found = _data_ids(crate, references(run.object))
    return {item for item in found if not item.startswith((NF_PROV_OUTPUT, "work/", NF_PROV_TASK, "#tmp/", "#stage/"))}


def _data_ids(crate: Crate, targets: Iterable[str]) -> Iterator[str]:
    """Yield the files and folders among some ``@id``s; collections give their members."""
    for target in dict.fromkeys(targets):
        entity = crate.get(target)
        if entity is None:
            if target.startswith(DATA_SCHEMES):
                yield target
        elif entity.type == "File":
            yield target
        elif entity.is_a("Collection") and not entity.is_a("Dataset"):
            yield from (part for part in references(entity.has_part) if part != target)
        elif entity.is_a(*DATA_TYPES):
            yield target


def _label(crate: Crate, entity_id: str) -> str:
    """Return what to call an input: its ``@id``, or its original name where the ``@id`` is a checksum."""
    entity = crate.get(entity_id)
    if entity is None or (":" in entity_id and named(entity_id)):
        return entity_id
    return text(crate.facts(entity_id).get("alternateName")) or named(entity_id) or text(entity.name) or entity_id


def _digests(crate: Crate, inputs: Iterable[str]) -> Iterator[str]:
    """Yield ``INPUT=sha256:HEX`` for the inputs whose checksum the crate gives."""
    for item in inputs:
        digest = text(crate.facts(item).get("sha256"))
        if digest:
            yield f"{_label(crate, item)}=sha256:{digest}"


def _types(crate: Crate, outputs: Iterable[str]) -> list[str]:
    """Return the extensions of the outputs that are files."""
    folders = set(crate.types.get("Dataset", ()))
    files = [item for item in outputs if item not in folders]
    # Ten thousand results end in a few ways, and each way needs one look.
    endings = {item[dot:] if (dot := item.find(".", item.rfind("/") + 1)) >= 0 else item: item for item in files}
    return sorted({kind for item in endings.values() if (kind := _extension(crate, item))})


def _extension(crate: Crate, entity_id: str) -> str | None:
    """Return the lower-case extension of a file, ``fastq.gz`` for compressed ones; None for folders."""
    entity = crate.get(entity_id)
    if entity is not None and entity.type != "File" and entity.is_a("Dataset"):
        return None
    name = entity_id.rsplit("/", 1)[-1]
    if "." not in name and entity is not None:
        name = text(entity.name) or ""
    stem, dot, last = name.partition("?")[0].lower().rpartition(".")
    if not dot or not last.isalnum() or len(last) > MAX_EXTENSION_CHARACTERS:
        return None
    if last in COMPRESSED:
        inner = stem.rpartition(".")[2] if "." in stem else ""
        if inner.isalnum() and len(inner) <= MAX_EXTENSION_CHARACTERS:
            return f"{inner}.{last}"
    return last


def _total_bytes(crate: Crate, outputs: list[str]) -> int | None:
    """Return the bytes of all outputs: as the crate says, else as they lie beside it; None if one is unknown."""
    total = 0
    sizes = Sizes(crate.folder)
    for item in outputs:
        stated = text(crate.facts(item).get("contentSize"))
        if stated is not None and BYTE_COUNT.fullmatch(stated):
            total += int(stated)
            continue
        size = sizes.of(item)
        if size is None:
            return None
        total += size
    return total


def task_facts(sources: Sources) -> Values:
    """Return how many tasks there were, how they ended, and of which processes."""
    tasks = sources.view.tasks
    if not tasks and not sources.view.from_nf_prov:
        return {}
    counts = Counter(_task_status(sources, task.action) for task in tasks)
    full = Counter(task.process for task in tasks if task.process)
    if any(task.action.instrument is None for task in tasks):
        sources.warnings.add("null-instrument")
    return {
        "tasks_total": len(tasks),
        "tasks_succeeded": counts["succeeded"],
        "tasks_failed": counts["failed"],
        "tasks_unknown": counts["unknown"] or None,
        "processes": sorted({name.rsplit(":", 1)[-1] for name in full}),
        "process_tasks": sorted(f"{name}={count}" for name, count in full.items()),
    }


def sample_facts(sources: Sources) -> Values:
    """Return the samples, inferred from the tags of nf-prov's tasks; numbers and file names are no samples."""
    if not sources.view.from_nf_prov:
        return {}
    tags = {task_tag(task.action) for task in sources.view.tasks}
    samples = sorted(tag for tag in tags if tag and not tag.isdigit() and not FILE_TAG.search(tag))
    if not samples:
        return {}
    return {"samples": samples, "sample_count": len(samples), "samples_source": "inferred"}


def _task_status(sources: Sources, action: Entity) -> str:
    """Return how a task ended; nf-prov marks tasks failed that were not, and then gives no error."""
    status = _STATUS.get(action.status) if isinstance(action.status, str) else None
    status = status or action_status(action)
    if status == "failed" and sources.view.from_nf_prov and not text(action.error):
        return "unknown"
    return status or "unknown"


def means_facts(sources: Sources) -> Values:
    """Return the parameters, software and container images of the run."""
    crate, run = sources.crate, sources.view.run
    values: Values = {}
    if run is not None:
        parameters = [(name, parameter_text(sources, name, value)) for name, value in run_parameters(sources)]
        values["params"] = sorted({f"{name}={value}" for name, value in parameters})
        values["param_count"] = len(parameters) if parameters or run.action.object is not None else None
    software, containers = set(), set()
    engine_ids = {target for engine in sources.view.engines for target in references(engine.instrument)}
    for entity_id, entity in crate.of_type("SoftwareApplication"):
        if entity_id not in engine_ids and not entity.is_a("ContainerImage", "ComputationalWorkflow"):
            software.add(_software(crate.facts(entity_id)))
    for entity_id, _ in crate.of_type("ContainerImage"):
        containers.add(_image(entity_id, crate.facts(entity_id)))
    values["software"] = sorted(filter(None, software))
    values["containers"] = sorted(filter(None, containers))
    return values


def run_parameters(sources: Sources) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each parameter of the run, as the crate gives them; several may share a name."""
    crate, run = sources.crate, sources.view.run
    for target in dict.fromkeys(references(run.action.object) if run is not None else ()):
        entity = crate.get(target)
        if entity is not None and entity.is_a("PropertyValue") and not target.startswith(NF_PROV_OUTPUT):
            properties = crate.facts(target)
            value = properties.get("value")
            plain = value["@value"] if isinstance(value, dict) and "@value" in value else value
            yield parameter_name(crate, target, properties), plain


def parameter_text(sources: Sources, name: str, value: Any) -> str:
    """Return a parameter's value as text, redacted where its name or look says that it is secret."""
    if is_secret_name(name) and is_secret_value(value, name):
        sources.warnings.add(f"redacted-param:{name}")
        return REDACTED
    clean = sources.redactor.text(_plain(value))
    if REDACTED in clean and REDACTED not in str(value):
        sources.warnings.add(f"redacted-param:{name}")
    return clean


def _plain(value: Any) -> str:
    """Write a value the way a person would type it; JSON for lists and maps, without their secrets."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        redacted = redact_tree(parsed)
        return value if redacted == parsed else json.dumps(redacted, ensure_ascii=False)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(redact_tree(value), ensure_ascii=False, sort_keys=True)


def _software(properties: Values) -> str | None:
    """Return a program as ``NAME=VERSION``; None where it has no version, or is a container image."""
    version = text(properties.get("softwareVersion")) or text(properties.get("version"))
    name = text(properties.get("name"))
    if not version or not name or _is_image(properties, name, version):
        return None
    return name if name.endswith(version) and name != version else f"{name}={version}"


def _is_image(properties: Values, name: str, version: str) -> bool:
    """Say whether what calls itself software is a container image: by its kind, its name or its version."""
    kinds = [kind.get("@id") if isinstance(kind, dict) else kind for kind in many(properties.get("additionalType"))]
    if any(isinstance(kind, str) and kind.endswith(IMAGE_TYPES) for kind in kinds):
        return True
    is_address = SCHEME.match(name) is not None and name.endswith(version)
    return is_address or IMAGE_DIGEST in name or IMAGE_DIGEST in version or IMAGE_NAME.fullmatch(name) is not None


def _image(entity_id: str, properties: Values) -> str | None:
    """Return a container image as people write it: registry/name:tag, each once."""
    name = text(properties.get("name"))
    if name is None:
        return named(entity_id)
    registry, tag = SCHEME.sub("", text(properties.get("registry")) or "").rstrip("/"), text(properties.get("tag"))
    has_registry = not registry or SCHEME.sub("", name).startswith(f"{registry}/")
    image = name if has_registry else f"{registry}/{name}"
    return image if tag is None or image.partition("@")[0].endswith(f":{tag}") else f"{image}:{tag}"


def people(crate: Crate, value: Any) -> list[str]:
    """Return the names of the people, organisations or things a property refers to."""
    names = (text(item.get("name")) or named(item.get("@id")) for item in crate.resolve(value))
    return sorted(set(filter(None, names)))


def role_facts(sources: Sources) -> Values:
    """Return what Quilt's RO-Crate profile keeps by role (https://w3id.org/quilt/ro-crate)."""
    crate, root = sources.crate, sources.root
    actions = () if sources.view.from_nf_prov else crate.of_type(*ACTION_TYPES)
    used = {target for _, action in actions for target in references(action.instrument)}
    instruments = [crate.facts(target) for target in sorted(used)]
    physical = [item for item in instruments if item and not _is_software(item)]
    return {
        "creator": people(crate, root.get("creator")),
        "producer": people(crate, root.get("producer")),
        "instrument": sorted({name for item in physical if (name := text(item.get("name")))}),
        "instrument_id": sorted({name for item in physical if (name := text(item.get("identifier")))}),
        "eln_entry": sorted(_notebook_entries(crate, root)),
    }


def _notebook_entries(crate: Crate, root: Values) -> set[str]:
    """Return the names of the lab notebook entries that the root refers to in any way but as its parts."""
    links = (item for key, value in root.items() if key != "hasPart" for item in many(value))
    targets = {item["@id"] for item in links if isinstance(item, dict) and isinstance(item.get("@id"), str)}
    entries: set[str] = set()
    for target in targets:
        if target.startswith(("#", BLANK_NODE)):
            continue
        properties = crate.facts(target)
        kinds = [kind.get("@id") if isinstance(kind, dict) else kind for kind in many(properties.get("additionalType"))]
        if any(isinstance(kind, str) and kind.endswith(NOTEBOOK_ENTRY) for kind in kinds):
            entries.add(text(properties.get("name")) or target)
    return entries


def _is_software(properties: Values) -> bool:
    """Say whether an instrument is a program or a workflow rather than a machine."""
    kinds = {kind.rsplit(":", 1)[-1] for kind in many(properties.get("@type")) if isinstance(kind, str)}
    return bool(
        kinds & {"SoftwareApplication", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo", "HowToStep", "File"}
    )
