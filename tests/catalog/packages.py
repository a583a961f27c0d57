"""Packages of a bucket: those of the recorded runs, variations of runs that were not recorded, and strangers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any

from crate.documents import CRATES, FAILED, RECORDED, Entity, nextflow_run, ref, refs, task
from metadata.deriving import derive, values_of
from provwatch.crate import read_crate
from provwatch.metadata import merge_user_metadata

FIRST_SECOND = 1_790_000_000


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of a package.

    Attributes:
        name: the package's.
        second: when it was published, in seconds since 1970.
        top_hash: of its manifest.
        metadata: its metadata.
    """

    name: str
    second: int
    top_hash: str
    metadata: Any = field(hash=False)


def image(name: str, **more: object) -> Entity:
    return {"@id": f"#image/{name}", "@type": "ContainerImage", "name": name, **more}


def inputs(*ids: str) -> list[Entity]:
    return [{"@id": entity_id, "@type": "File"} for entity_id in ids]


def variation(*entities: Entity, **run: object) -> dict[str, Any]:
    """Return the metadata of a run that was not recorded."""
    return values_of(nextflow_run(*entities, run=run))


ADA: Entity = {"@id": "https://orcid.org/0000-0002-1825-0097", "@type": "Person", "name": "Ada O'Neil"}
BROKEN: dict[str, object] = {"actionStatus": FAILED, "error": "STAR exited with 137"}
STRANGER = {
    "pipeline": {"name": "demo/multi"},
    "samples": "S1",
    "containers": [{"name": "quay.io/b/star"}, 2.7, None],
    "inputs": [1, {"@id": "reads_A.fq"}],
    "run_status": "failed",
    "run_started": "yesterday",
}


@cache
def revisions() -> tuple[Revision, ...]:
    """Return every revision of the bucket, in the order of their publication."""
    images = image("b/star:2.7.11b", registry="quay.io"), image("b/star-aligner:1", registry="quay.io")
    digest = image("quay.io/b/multiqc@sha256:0f0f")
    odd = inputs("s3://lab/in/réads (1) %_.fq", "data/réads (2).fq")
    made = [
        (f"recorded/{name}", derive(read_crate(str(CRATES / name))).values)
        for name in RECORDED
        if name != "preview-overwrote"  # no run, and no package
    ]
    made += [
        ("lab/failed", variation(*images, **BROKEN, startTime="2026-11-20T23:59:59Z", endTime="2026-11-21T00:00:09Z")),
        ("lab/failed-late", variation(**BROKEN, startTime="2026-11-23T00:00:00+02:00", endTime=None)),
        ("lab/failed-no-start", variation(**BROKEN, startTime=None, endTime="2026-11-25T08:00:00Z")),
        ("lab/failed-no-time", variation(**BROKEN, startTime=None, endTime=None)),
        ("lab/failed-naive", variation(**BROKEN, startTime="2026-11-24T08:00:00", endTime=None)),
        ("lab/repeated", variation(digest, task(1, "STAR (S1)", FAILED), **BROKEN)),
        ("lab/repeated", variation(task(1, "STAR (S1)"), task(2, "STAR (S2)"), ADA, agent=ref(str(ADA["@id"])))),
        ("lab/images", variation(*images, digest, task(1, "STAR (S10)"), task(2, "STAR (O'Neil 1)"))),
        ("lab/inputs", variation(*odd, object=refs(*(str(item["@id"]) for item in odd)))),
        ("lab/mine", merge_user_metadata(variation(task(1, "STAR (S1)")), {"project": {"name": "atlas", "plan": []}})),
        ("hand/stranger", STRANGER),
        ("hand/list", ["demo/multi"]),
        ("hand/nothing", None),
    ]
    return tuple(
        Revision(name, FIRST_SECOND + at, sha256(f"{at}".encode()).hexdigest(), metadata)
        for at, (name, metadata) in enumerate(made)
    )


def latest(every: tuple[Revision, ...]) -> tuple[Revision, ...]:
    """Return the newest revision of each package."""
    return tuple({revision.name: revision for revision in every}.values())
