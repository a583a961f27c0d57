"""Small metadata documents to read: a descriptor, a root and what a test adds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from provwatch.crate import Crate, decode_crate

Entity = dict[str, Any]

CRATES = Path(__file__).resolve().parent.parent / "data/crates"
RECORDED = {  # every crate under data/crates, by name, with the document that holds it
    folder.name: next(path for path in sorted(folder.rglob("*.json")) if b'"@graph"' in path.read_bytes())
    for folder in sorted(CRATES.iterdir())
}
PLANTED_SECRET = "hunter2-not-a-real-secret"  # noqa: S105 - planted in the recorded runs; it must never come out
COMPLETED, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
DESCRIPTOR: Entity = {
    "@id": "ro-crate-metadata.json",
    "@type": "CreativeWork",
    "about": {"@id": "./"},
    "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
}
ROOT: Entity = {"@id": "./", "@type": "Dataset", "name": "Root"}
RUN_ID = "#0b4bc0de-0000-4000-8000-000000000000"


def ref(entity_id: str) -> Entity:
    return {"@id": entity_id}


def refs(*entity_ids: str) -> list[Entity]:
    return [ref(entity_id) for entity_id in entity_ids]


def document(*entities: object) -> bytes:
    """Return a document of exactly these members."""
    return json.dumps({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": entities}).encode()


def crate_of(*entities: object, root: Entity | None = None) -> Crate:
    """Decode a crate of a descriptor, a root and these entities."""
    return decode_crate(document(DESCRIPTOR, {**ROOT, **(root or {})}, *entities), where="crate.json")


def nextflow_run(
    *entities: object,
    run: Entity | None = None,
    workflow: Entity | None = None,
    root: Entity | None = None,
) -> bytes:
    """Return a run as nf-prov writes it, with further entities; what is None in *run* is left out."""
    action = {
        "@id": RUN_ID,
        "@type": "CreateAction",
        "name": f"Nextflow workflow run {RUN_ID[1:]}",
        "startTime": "2026-11-22T09:00:21.433271344Z",
        "endTime": "2026-11-22T09:01:23.653640369Z",
        "instrument": ref("main.nf"),
        "object": [],
        "result": [],
        **(run or {}),
    }
    script = {
        "@id": "main.nf",
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        "name": "demo/small",
        "runtimePlatform": "Nextflow 25.10.7",
        **(workflow or {}),
    }
    engine = {"@id": "main.nf#software-application", "@type": "SoftwareApplication", "name": "Nextflow 25.10.7"}
    organize = {"@id": "main.nf#organize", "@type": "OrganizeAction", "instrument": ref(str(engine["@id"]))}
    top = {**ROOT, "mainEntity": ref("main.nf"), **(root or {})}
    kept = {key: value for key, value in action.items() if value is not None}
    return document(DESCRIPTOR, top, script, engine, organize, kept, *entities)


def task(number: int, name: str, status: str = COMPLETED, **more: object) -> Entity:
    """Return a task as nf-prov writes it."""
    instrument = ref(f"#module/{name.partition(' ')[0]}")
    return {
        "@id": f"#task/{number:032x}",
        "@type": "CreateAction",
        "name": name,
        "instrument": instrument,
        "actionStatus": status,
        **more,
    }


def publish(number: int, name: str) -> Entity:
    """Return one of nf-prov's publish actions."""
    return {"@id": f"#publish/{number:032x}/{name}", "@type": "CreateAction", "name": "publish", "result": ref(name)}


def parameter(name: str, value: object, **more: object) -> Entity:
    """Return a parameter's value as nf-prov writes it."""
    return {"@id": f"#param/{name}/value", "@type": "PropertyValue", "name": name, "value": value, **more}


def run_with(*parameters: Entity, **parts: Any) -> bytes:
    """Return a Nextflow run with these parameters."""
    run = {"object": refs(*(str(item["@id"]) for item in parameters)), **parts.pop("run", {})}
    return nextflow_run(*parameters, *parts.pop("entities", ()), run=run, **parts)
