"""Write a synthetic crate of any size, in the shape nf-prov 1.4 gives a run (pretty-printed, seven entities a task)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import IO, Any

ENTITIES_PER_TASK = 7
_HEAD_ENTITIES = 12


def _ref(entity_id: str) -> dict[str, str]:
    return {"@id": entity_id}


def _task_hash(number: int) -> str:
    return f"{number:032x}"


def _task(number: int) -> list[dict[str, Any]]:
    """Return the entities of one task: the action, its publishes, intermediates and published files."""
    task = f"#task/{_task_hash(number)}"
    process = f"PROC_{number % 20}"
    sample = f"S{number:06d}"
    agent = _ref("https://orcid.org/0000-0000-0000-0000")
    names = [f"{sample}.sorted.bam", f"{sample}.stats.txt"]
    entities: list[dict[str, Any]] = [
        {
            "@id": task,
            "@type": "CreateAction",
            "name": f"{process} ({sample})",
            "instrument": _ref(f"#module/{process}"),
            "agent": agent,
            "object": [_ref(f"#task/{_task_hash(number - 1)}/S{number - 1:06d}.sorted.bam")] if number else [],
            "result": [_ref(f"{task}/{name}") for name in names],
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }
    ]
    for name in names:
        entities += [
            {
                "@id": f"{task}/{name}",
                "@type": "CreativeWork",
                "name": name,
                "encodingFormat": "application/octet-stream",
            },
            {
                "@id": f"#publish/{_task_hash(number)}/{name}",
                "@type": "CreateAction",
                "name": "publish",
                "instrument": _ref("main.nf#software-application"),
                "object": _ref(f"{task}/{name}"),
                "result": _ref(f"{process}/{name}"),
                "actionStatus": "http://schema.org/CompletedActionStatus",
            },
            {
                "@id": f"{process}/{name}",
                "@type": "File",
                "name": name,
                "encodingFormat": "application/octet-stream",
            },
        ]
    return entities


def _head(tasks: int) -> list[dict[str, Any]]:
    """Return descriptor, root, workflow, engine, run, agent and parameters."""
    results = [f"PROC_{n % 20}/S{n:06d}{end}" for n in range(tasks) for end in (".sorted.bam", ".stats.txt")]
    actions = [f"#task/{_task_hash(n)}" for n in range(tasks)]
    published = [
        f"{kind}{_task_hash(n)}/S{n:06d}{end}"
        for n in range(tasks)
        for kind in ("#task/", "#publish/")
        for end in (".sorted.bam", ".stats.txt")
    ]
    run = "#0b4bc0de-0000-4000-8000-000000000000"
    return [
        {
            "@id": "ro-crate-metadata.json",
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": [_ref("https://w3id.org/ro/crate/1.1")],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "datePublished": "2026-11-22",
            "name": "Workflow run of synthetic/pipeline",
            "conformsTo": [
                _ref(f"https://w3id.org/ro/wfrun/{kind}/0.1") for kind in ("process", "workflow", "provenance")
            ],
            "hasPart": [_ref("main.nf"), *map(_ref, results)],
            "mainEntity": _ref("main.nf"),
            "mentions": [_ref(run), *map(_ref, actions), *map(_ref, published)],
            "license": "MIT",
        },
        {
            "@id": "main.nf",
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "synthetic/pipeline",
            "programmingLanguage": _ref("https://w3id.org/workflowhub/workflow-ro-crate#nextflow"),
            "runtimePlatform": "Nextflow 24.10.5",
        },
        {
            "@id": "https://w3id.org/workflowhub/workflow-ro-crate#nextflow",
            "@type": "ComputerLanguage",
            "name": "Nextflow",
            "version": "24.10.5",
        },
        {"@id": "main.nf#software-application", "@type": "SoftwareApplication", "name": "Nextflow 24.10.5"},
        {"@id": "https://orcid.org/0000-0000-0000-0000", "@type": "Person", "name": "Jane Doe"},
        {
            "@id": run,
            "@type": "CreateAction",
            "name": "Nextflow workflow run 0b4bc0de-0000-4000-8000-000000000000",
            "startTime": "2026-11-22T07:22:34.729775925Z",
            "endTime": "2026-11-22T09:22:34.729775925Z",
            "agent": _ref("https://orcid.org/0000-0000-0000-0000"),
            "instrument": _ref("main.nf"),
            "object": [_ref("#param/input/value")],
            "result": list(map(_ref, results)),
        },
        {"@id": "#param/input", "@type": "FormalParameter", "name": "input", "additionalType": "Text"},
        {
            "@id": "#param/input/value",
            "@type": "PropertyValue",
            "exampleOfWork": _ref("#param/input"),
            "name": "input",
            "value": "samples.csv",
        },
    ]


def write_crate(out: IO[str], entities: int) -> int:
    """Write a crate of about *entities* entities, pretty-printed as nf-prov does; return their exact number."""
    tasks = max(1, (entities - _HEAD_ENTITIES) // ENTITIES_PER_TASK)
    head = _head(tasks)
    modules = [
        {"@id": f"#module/PROC_{n}", "@type": "SoftwareApplication", "name": f"PROC_{n}"} for n in range(min(20, tasks))
    ]
    out.write('{\n    "@context": "https://w3id.org/ro/crate/1.1/context",\n    "@graph": [\n')
    count = 0
    for entity in (*head, *modules):
        out.write((",\n" if count else "") + json.dumps(entity, indent=4))
        count += 1
    for number in range(tasks):
        for entity in _task(number):
            out.write(",\n" + json.dumps(entity, indent=4))
            count += 1
    out.write("\n    ]\n}\n")
    return count


def main() -> None:
    """Write one crate to a file: ``make_crate.py 100000 crate.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entities", type=int)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    with arguments.path.open("w", encoding="utf-8") as out:
        print(write_crate(out, arguments.entities), "entities")


if __name__ == "__main__":
    main()
