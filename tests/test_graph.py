"""Provenance pictures: what is drawn, how it folds, and that no name in a crate is ever more than text."""

from __future__ import annotations

import io
import json
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provwatch.crate import Crate, decode_crate, read_crate, view_runs
from provwatch.errors import CrateError, UsageError
from provwatch.graph import FORMS, NODE_LIMIT, Form, draw
from provwatch.graph.fold import MIN_LIMIT
from provwatch.graph.layout import Place, arrange
from provwatch.graph.picture import INK, PALETTE, WIRE, one_line, shorten

Entity = dict[str, Any]
Link = tuple[str, str]

write_crate = runpy.run_path(str(Path(__file__).parent / "benchmarks/make_crate.py"))["write_crate"]

SVG = "{http://www.w3.org/2000/svg}"
DONE, FAILED = "http://schema.org/CompletedActionStatus", "http://schema.org/FailedActionStatus"
HOSTILE = (
    'a "quoted" name',
    "<script>alert(1)</script>",
    "</text></svg><a href='javascript:alert(1)'>",
    "<![CDATA[ ]]> &amp; &#35; &nbsp;",
    "back\\slash \\n \\N \\\\",
    '%%{init: {"theme": "dark"}}%%',
    '"] --> n1["',
    "end",
    'click n1 "https://example.org"',
    "`**bold**` _x_ __init__",
    "1. one",
    "- item",
    "#35; #quot;",
    "style n1 fill:#f00",
    "classDef x fill:#f00",
    "line\nbreak\r\n\ttab",
    "bell\x07 nul\x00 escape\x1b[31m",
    "turned \u202e around",
    "not \uffff a character",
    "<<b>html-like</b>>",
    "$$x^2$$ {a|b} ;",
    "a" * 5000,
    "日本語ファイル名.fastq.gz",
    "🧬.bam",
)


def crate_of(*entities: Entity, root: Entity | None = None) -> Crate:
    """Decode a crate of a descriptor, a root and these entities."""
    descriptor = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": ref("./")}
    top = {"@id": "./", "@type": "Dataset", "name": "Root", **(root or {})}
    return decode_crate(json.dumps({"@graph": [descriptor, top, *entities]}).encode())


def ref(entity_id: str) -> Entity:
    return {"@id": entity_id}


def action(action_id: str, tool: str, reads: list[str], writes: list[str], **more: object) -> Entity:
    """Return the execution of a tool, named after itself."""
    links = {"instrument": ref(tool), "object": [*map(ref, reads)], "result": [*map(ref, writes)]}
    return {"@id": action_id, "@type": "CreateAction", "name": action_id, **links, **more}


def tool(name: str) -> Entity:
    return {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name}


def file(path: str) -> Entity:
    return {"@id": path, "@type": "File", "name": path.rpartition("/")[2]}


def parameter(name: str, value: object) -> Entity:
    return {"@id": f"#param/{name}/value", "@type": "PropertyValue", "name": name, "value": value}


def publish(source: str, target: str, number: int = 0) -> Entity:
    """Return nf-prov's publish action of a task's result."""
    links = {"instrument": ref("main.nf#software-application"), "object": ref(source), "result": ref(target)}
    return {"@id": f"#publish/{number}/{target}", "@type": "CreateAction", "name": "publish", **links}


def task(number: int, name: str | None, reads: list[str], writes: list[str], **more: object) -> Entity:
    """Return a task as nf-prov writes it: no instrument, results below its own ``@id``."""
    own = f"#task/{number:032x}"
    links = {"instrument": None, "object": [*map(ref, reads)], "result": [ref(f"{own}/{item}") for item in writes]}
    return {"@id": own, "@type": "CreateAction", "name": name, "actionStatus": DONE, **links, **more}


def result(number: int, name: str) -> str:
    return f"#task/{number:032x}/{name}"


def nextflow_run(*entities: Entity, reads: list[str], writes: list[str]) -> Crate:
    """Return a crate in the shape of nf-prov's."""
    return crate_of(
        {"@id": "main.nf", "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"], "name": "demo/count"},
        {"@id": "main.nf#software-application", "@type": "SoftwareApplication", "name": "Nextflow 25.10.7"},
        {
            "@id": "main.nf#organize",
            "@type": "OrganizeAction",
            "instrument": ref("main.nf#software-application"),
            "result": ref("#0b4bc0de"),
        },
        {"@id": "ada", "@type": "Person", "name": "Ada Author"},
        action("#0b4bc0de", "main.nf", reads, writes, name="Nextflow workflow run 0b4bc0de", agent=ref("ada")),
        *entities,
        root={"mainEntity": ref("main.nf")},
    )


def demo_run() -> Crate:
    """Return a run that counts two samples and merges the counts."""
    return nextflow_run(
        parameter("min_len", 3),
        parameter("token", "hunter2"),
        file("samples.csv"),
        file("file:///data/S1.fq"),
        file("file:///data/S2.fq"),
        task(1, "QC:COUNT (S1)", ["file:///data/S1.fq"], ["S1.txt"]),
        task(2, "QC:COUNT (S2)", ["file:///data/S2.fq"], ["S2.txt"]),
        task(3, "MERGE", [result(1, "S1.txt"), result(2, "S2.txt")], ["all.tsv"]),
        {"@id": result(1, "S1.txt"), "@type": "CreativeWork", "name": "S1.txt"},
        {"@id": result(2, "S2.txt"), "@type": "CreativeWork", "name": "S2.txt"},
        {"@id": result(3, "all.tsv"), "@type": "CreativeWork", "name": "all.tsv"},
        publish(result(2, "S2.txt"), "counts/S2.txt"),
        publish(result(3, "all.tsv"), "all.tsv"),
        file("counts/S2.txt"),
        file("all.tsv"),
        reads=["#param/min_len/value", "#param/token/value", "samples.csv", "file:///data/S1.fq", "file:///data/S2.fq"],
        writes=["counts/S2.txt", "all.tsv"],
    )


def render(crate: Crate, form: Form = "mermaid", **options: Any) -> str:
    return draw(crate, view_runs(crate), form, **options)


@dataclass(frozen=True)
class Drawing:
    """A Mermaid flowchart read back; fails where a line is none of the statements that are expected."""

    title: str
    boxes: dict[str, list[str]]
    links: list[Link]
    dashed: list[Link]
    classes: dict[str, str]

    def named_links(self) -> set[Link]:
        """Return the solid links, by the first lines of the boxes they link."""
        return {(self.name(source), self.name(target)) for source, target in self.links}

    def name(self, box_id: str) -> str:
        """Return the first line of a box."""
        return self.boxes[box_id][0]

    @property
    def names(self) -> list[str]:
        """The first lines of all boxes."""
        return [lines[0] for lines in self.boxes.values()]


def read_mermaid(text: str) -> Drawing:
    """Read a flowchart back, statement by statement."""
    head, group, direction, *body = text.splitlines()
    assert head in {"flowchart LR", "flowchart TD"}
    assert direction.strip().removeprefix("direction ") == head[-2:]
    title = re.fullmatch(r'  subgraph n0\["([^"]*)"\]', group)
    assert title
    boxes: dict[str, list[str]] = {}
    links: dict[str, list[Link]] = {"-->": [], "-.->": []}
    classes: dict[str, str] = {}
    for line in body:
        if box := re.fullmatch(r'    (n\d+)[\[({/]{1,2}"([^"]*)"[\])}/]{1,2}', line):
            boxes[box[1]] = [unescape_mermaid(part) for part in box[2].split("<br/>")]
        elif link := re.fullmatch(r"    (n\d+) (-->|-\.->) (n\d+)", line):
            links[link[2]].append((link[1], link[3]))
        elif members := re.fullmatch(r"  class (n[n\d,]*) (\w+)", line):
            classes.update(dict.fromkeys(members[1].split(","), members[2]))
        else:
            assert re.fullmatch(r"  end|  style n0 [\w:#,-]+|  classDef \w+ [\w:#, -]+", line), line
    assert list(boxes) == [f"n{number + 1}" for number in range(len(boxes))]
    return Drawing(unescape_mermaid(title[1]), boxes, links["-->"], links["-.->"], classes)


def unescape_mermaid(words: str) -> str:
    assert not re.search(r"[<>`{}\[\]%\"\\|*~&;]", re.sub(r"#\d+;", "", words))
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), words.replace("\u200b", ""))


def read_dot(text: str) -> list[list[str]]:
    """Return the lines of each node's label; fails where a line is none of the statements that are expected."""
    first, graph, node, edge, *body, last = text.splitlines()
    assert (first, last) == ("digraph provenance {", "}")
    string = r'"((?:[^"\\]|\\.)*)"'
    assert re.fullmatch(rf"  graph \[label={string}, labelloc=t, rankdir=(LR|TB), fontname=Helvetica\];", graph)
    assert node.startswith("  node [")
    assert edge.startswith("  edge [")
    labels = []
    for line in body:
        found = re.fullmatch(rf"  n\d+ \[label={string}, tooltip={string}, shape=\w+, [\w=\"#,. ]+\];", line)
        if found:
            labels.append([unescape_dot(part) for part in re.split(r"(?<!\\)(?:\\\\)*\\n", found[1])])
        else:
            assert re.fullmatch(r"  n\d+ -> n\d+( \[style=dashed\])?;", line), line
    return labels


def unescape_dot(words: str) -> str:
    return re.sub(r"\\(.)", r"\1", words).replace("&amp;", "&")


def svg_texts(text: str) -> list[str]:
    """Return what an SVG says in its boxes and header; fails where it holds more than shapes and text."""
    root = ET.fromstring(text)  # noqa: S314 - our own output
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "g", "rect", "path", "text"}
    for element in root.iter():
        assert not {name for name in element.attrib if name.startswith("on") or "href" in name or name == "id"}
    return [element.text or "" for element in root.iter(f"{SVG}text")]


CASES: dict[str, tuple[Crate, set[Link], list[str]]] = {
    "nothing: a root alone": (crate_of(), set(), ["Root"]),
    "an action without an instrument is no run": (
        crate_of({"@id": "#a", "@type": "CreateAction", "result": ref("x.txt")}, root={"hasPart": ref("x.txt")}),
        {("Root", "x.txt")},
        ["Root", "x.txt"],
    ),
    "data crate: its parts": (
        crate_of(file("a/b.csv"), {"@id": "d/", "@type": "Dataset"}, root={"hasPart": [ref("a/b.csv"), ref("d/")]}),
        {("Root", "a/b.csv"), ("Root", "d/")},
        ["Root", "a/b.csv", "d/"],
    ),
    "data crate without parts: what data it describes": (
        crate_of(file("b.csv"), file("a.csv"), tool("sort")),
        {("Root", "a.csv"), ("Root", "b.csv")},
        ["Root", "a.csv", "b.csv"],
    ),
    "pipeline crate: its main workflow and parts": (
        crate_of(
            {"@id": "main.nf", "@type": ["File", "ComputationalWorkflow"], "name": "nf-core/demo"},
            file("README.md"),
            root={"mainEntity": ref("main.nf"), "hasPart": [ref("main.nf"), ref("README.md"), ref("./")]},
        ),
        {("Root", "nf-core/demo"), ("Root", "README.md")},
        ["Root", "nf-core/demo", "README.md"],
    ),
    "process run crate: several tools, no workflow": (
        crate_of(
            tool("sort"),
            tool("head"),
            action("1", "#sort", ["in"], ["mid"]),
            action("2", "#head", ["mid"], ["out"]),
        ),
        {("in", "sort"), ("sort", "mid"), ("mid", "head"), ("head", "out")},
        ["head", "mid", "out", "sort", "in"],
    ),
    "workflow run crate: the run is the only step": (
        crate_of(
            {"@id": "w.ga", "@type": ["File", "ComputationalWorkflow"], "name": "collect"},
            {"@id": "#c", "@type": "Collection", "name": "reads", "hasPart": [ref("a.fq"), ref("b.fq")]},
            action("#run", "w.ga", ["#c"], ["out.txt"]),
            root={"mainEntity": ref("w.ga")},
        ),
        {("reads", "collect"), ("collect", "out.txt")},
        ["collect", "reads", "out.txt"],
    ),
    "a tool whose instrument is not described": (
        crate_of(action("1", "#gone", ["in"], ["out"]), action("2", "#gone", ["in"], [])),
        {("in", "1"), ("1", "out"), ("in", "2")},
        ["1", "in", "out", "2"],
    ),
    "null names and dangling references": (
        nextflow_run(
            task(1, None, ["gone.txt"], ["x"]),
            {"@id": "null.txt", "@type": "File", "name": None},
            reads=["null.txt"],
            writes=[],
        ),
        {("null.txt", "demo/count"), ("gone.txt", "unnamed"), ("unnamed", "x")},
        ["demo/count", "null.txt", "unnamed", "gone.txt", "x"],
    ),
    "a task that reads what it writes": (
        crate_of(tool("t"), action("1", "#t", ["x"], ["x"]), action("2", "#t", ["1"], ["2"])),
        {("x", "t"), ("t", "x"), ("1", "t"), ("t", "2")},
        ["t", "x", "t", "1", "2"],
    ),
    "a cycle of two tasks": (
        crate_of(tool("s"), tool("t"), action("1", "#s", ["a"], ["b"]), action("2", "#t", ["b"], ["a"])),
        {("a", "s"), ("s", "b"), ("b", "t"), ("t", "a")},
        ["s", "a", "b", "t"],
    ),
    "a result that was published twice": (
        nextflow_run(
            task(1, "A", [], ["x.txt"]),
            task(2, "B", [result(1, "x.txt")], []),
            publish(result(1, "x.txt"), "two/x.txt"),
            publish(result(1, "x.txt"), "one/x.txt"),
            file("one/x.txt"),
            file("two/x.txt"),
            reads=[],
            writes=["one/x.txt", "two/x.txt"],
        ),
        {("A", "one/x.txt"), ("A", "two/x.txt"), ("one/x.txt", "B")},
        ["demo/count", "A", "one/x.txt", "two/x.txt", "B"],
    ),
    "an output that no task made is the run's": (
        nextflow_run(file("report.html"), reads=[], writes=["report.html"]),
        {("demo/count", "report.html")},
        ["demo/count", "report.html"],
    ),
    "nf-prov lists outputs as inputs": (
        nextflow_run(
            {"@id": "#output/x/value", "@type": "PropertyValue", "name": "x", "value": "x"},
            reads=["#output/x/value"],
            writes=[],
        ),
        set(),
        ["demo/count"],
    ),
    "nf-prov copies parameter files into the crate": (
        nextflow_run(file("ref.fa"), task(1, "A", ["file:///abs/ref.fa"], []), reads=["ref.fa"], writes=[]),
        {("ref.fa", "A")},
        ["demo/count", "A", "ref.fa"],
    ),
    "files that are called by their checksums": (
        crate_of(
            tool("t"),
            {"@id": "97fe1b50b4582cebc7d8", "@type": "File", "alternateName": "whale.txt"},
            action("1", "#t", ["97fe1b50b4582cebc7d8"], []),
        ),
        {("whale.txt", "t")},
        ["t", "whale.txt"],
    ),
}


class TestWhatIsDrawn:
    """Inputs, processes and outputs, linked by what was read and written."""

    def test_a_run(self) -> None:
        """A Nextflow run: its inputs, its tasks with their results, and where these were published."""
        drawing = read_mermaid(render(demo_run()))
        assert drawing.named_links() == {
            ("2 parameters", "demo/count"),
            ("samples.csv", "demo/count"),
            ("S1.fq", "COUNT"),
            ("S2.fq", "COUNT"),
            ("COUNT", "S1.txt"),
            ("COUNT", "counts/S2.txt"),
            ("S1.txt", "MERGE"),
            ("counts/S2.txt", "MERGE"),
            ("MERGE", "all.tsv"),
        }
        assert ["COUNT", "S1", "in QC"] in drawing.boxes.values()
        assert {(drawing.name(start), drawing.name(first)) for start, first in drawing.dashed} == {
            ("demo/count", "COUNT")
        }
        assert drawing.title == "demo/count - run 0b4bc0de · Nextflow 25.10.7 · Ada Author"

    def test_roles(self) -> None:
        """What was given, made on the way, and handed out have colours of their own."""
        drawing = read_mermaid(render(demo_run()))
        roles = {drawing.name(box_id): role for box_id, role in drawing.classes.items()}
        assert roles == {
            "2 parameters": "parameters",
            "demo/count": "run",
            "samples.csv": "input",
            "S1.fq": "input",
            "S2.fq": "input",
            "COUNT": "task",
            "S1.txt": "data",
            "counts/S2.txt": "output",
            "MERGE": "task",
            "all.tsv": "output",
        }

    @pytest.mark.parametrize(("crate", "links", "names"), CASES.values(), ids=CASES.keys())
    def test_links(self, crate: Crate, links: set[Link], names: list[str]) -> None:
        """Each kind of crate, and each trap in one, gives these boxes and links; every form can write them."""
        drawing = read_mermaid(render(crate))
        assert drawing.named_links() == links
        assert drawing.names == names
        assert {lines[0] for lines in read_dot(render(crate, "dot"))} == set(names)
        assert set(names) <= set(svg_texts(render(crate, "svg")))

    def test_parameters_are_only_counted(self) -> None:
        """No form shows a parameter's name or value."""
        drawn = "".join(render(demo_run(), form) for form in ("svg", "mermaid", "dot"))
        assert "2 parameters" in drawn
        assert not re.search("hunter2|token|min_len", drawn)

    @pytest.mark.parametrize(
        ("crate", "said"),
        [
            pytest.param(nextflow_run(task(1, "A", [], []), reads=[], writes=[]), [], id="completed"),
            pytest.param(
                nextflow_run(task(1, "A", [], [], actionStatus=FAILED, error=None), reads=[], writes=[]),
                [],
                id="nf-prov says failed but gives no error: it succeeded",
            ),
            pytest.param(
                nextflow_run(task(1, "A", [], [], actionStatus=FAILED, error="exit 1"), reads=[], writes=[]),
                ["✗ failed"],
                id="nf-prov gives an error",
            ),
            pytest.param(
                crate_of(tool("t"), action("1", "#t", [], [], actionStatus=ref(FAILED)), action("2", "#t", [], [])),
                ["✗ failed"],
                id="other producers are believed",
            ),
        ],
    )
    def test_failed(self, crate: Crate, said: list[str]) -> None:
        """A failed task says so in words, and has a dashed outline besides its colour."""
        drawing = read_mermaid(render(crate))
        assert [line for lines in drawing.boxes.values() for line in lines if "failed" in line] == said
        assert ("failed" in drawing.classes.values()) is bool(said)
        assert [line for line in svg_texts(render(crate, "svg")) if "failed" in line] == said
        assert ('stroke-dasharray="6 3"' in render(crate, "svg")) is bool(said)
        assert ('style="filled,rounded,dashed"' in render(crate, "dot")) is bool(said)

    def test_unknown_form(self) -> None:
        """A form that there is not is a usage error that names those there are."""
        crate = crate_of()
        with pytest.raises(UsageError, match="Choose one of svg, mermaid, dot"):
            draw(crate, view_runs(crate), "png")  # type: ignore[arg-type]


def wide_run(samples: int, processes: tuple[str, ...] = ("QC:TRIM", "QC:ALIGN"), failed: int = 0) -> Crate:
    """Return a run in which each sample goes through each process; the last process publishes."""
    entities: list[Entity] = []
    inputs = [f"s3://lab/reads/S{sample}/S{sample}.fastq.gz" for sample in range(samples)]
    reads, number, published = list(inputs), 0, []
    for process in processes:
        writes = []
        for sample in range(samples):
            number += 1
            status = {"actionStatus": FAILED, "error": "exit 1"} if number <= failed else {}
            name = f"{process} (S{sample})"
            entities.append(task(number, name, [reads[sample]], [f"S{sample}.bam", f"S{sample}.log"], **status))
            writes.append(result(number, f"S{sample}.bam"))
            if process == processes[-1]:
                published.append(f"align/S{sample}.bam")
                entities += [publish(writes[-1], published[-1]), file(published[-1])]
        reads = writes
    return nextflow_run(*entities, reads=inputs, writes=published)


class TestFolding:
    """Past the limit siblings fold, each step only where it is needed."""

    def test_a_small_run_stays_as_it_is(self) -> None:
        """Up to 60 nodes every task and file is shown."""
        assert len(read_mermaid(render(wide_run(8))).boxes) == 57

    def test_siblings(self) -> None:
        """Tasks fold by process, their files by process and whether published, inputs by folder and extension."""
        drawing = read_mermaid(render(wide_run(64, failed=3)))
        assert list(drawing.boxes.values()) == [
            ["demo/count", "run"],
            ["ALIGN x 64", "in QC"],
            ["128 files (bam, log)"],
            ["64 files (bam)", "in align"],
            ["64 files (log)"],
            ["TRIM x 64", "in QC", "✗ 3 of 64 failed"],
            ["64 files (fastq.gz)", "in s3://lab/reads"],
        ]
        assert drawing.named_links() == {
            ("64 files (fastq.gz)", "TRIM x 64"),
            ("TRIM x 64", "128 files (bam, log)"),
            ("128 files (bam, log)", "ALIGN x 64"),
            ("ALIGN x 64", "64 files (bam)"),
            ("ALIGN x 64", "64 files (log)"),
        }

    def test_scopes(self) -> None:
        """Too many processes fold into the sub-workflows that they lie in."""
        processes = tuple(f"NF:{scope}:P{number}" for scope in ("PREPARE", "ALIGN", "QC") for number in range(20))
        names = read_mermaid(render(wide_run(4, processes))).names
        assert {"PREPARE x 80", "ALIGN x 80", "QC x 80"} <= set(names)

    def test_flat_processes(self) -> None:
        """Too many processes without sub-workflows: the largest are kept, the others are one."""
        boxes = read_mermaid(render(wide_run(1, tuple(f"P{number:03}" for number in range(200))))).boxes
        assert len(boxes) <= NODE_LIMIT
        assert any(re.fullmatch(r"1\d\d other processes", lines[0]) for lines in boxes.values())

    def test_parts(self) -> None:
        """The parts of a crate without a run fold by folder and extension."""
        paths = [f"{folder}/{number}.{kind}" for folder in "ab" for kind in ("csv", "tar.gz") for number in range(40)]
        crate = crate_of(*map(file, paths), root={"hasPart": [*map(ref, paths)]})
        assert list(read_mermaid(render(crate)).boxes.values()) == [
            ["Root", "crate"],
            ["40 files (csv)", "in a"],
            ["40 files (tar.gz)", "in a"],
            ["40 files (csv)", "in b"],
            ["40 files (tar.gz)", "in b"],
        ]

    def test_a_hundred_thousand_entities(self) -> None:
        """A crate of 100,000 entities gives a picture of at most 60 nodes, in time that nobody minds."""
        out = io.StringIO()
        write_crate(out, 100_000)
        crate = decode_crate(out.getvalue().encode())
        view = view_runs(crate)
        started = time.perf_counter()
        drawn = draw(crate, view, "mermaid")
        assert time.perf_counter() - started < 5  # 0.8 s on a laptop
        assert len(read_mermaid(drawn).boxes) <= NODE_LIMIT

    @given(data=st.data(), limit=st.integers(0, 70))
    @settings(max_examples=60, deadline=None)
    def test_any_graph(self, data: st.DataObject, limit: int) -> None:
        """Whatever reads and writes whatever, cycles and all, no form hangs and no limit is passed."""
        names = [f"{folder}{number}.{kind}" for folder in ("", "a/") for number in range(8) for kind in ("x", "y")]
        few = st.lists(st.sampled_from(names), max_size=3)
        processes = st.sampled_from(["A", "B", "S:A", "S:B", "S:T:A", "S:T:B", *(f"P{number}" for number in range(40))])
        steps = data.draw(st.lists(st.tuples(processes, few, few), max_size=80))
        crate = nextflow_run(
            *(
                task(number, f"{process} ({number})", reads, [], result=[*map(ref, writes)])
                for number, (process, reads, writes) in enumerate(steps)
            ),
            reads=data.draw(few),
            writes=data.draw(few),
        )
        drawing = read_mermaid(render(crate, limit=limit))
        assert len(drawing.boxes) <= max(limit, MIN_LIMIT)
        assert not [link for link in drawing.links if link[0] == link[1]]
        svg_texts(render(crate, "svg", limit=limit))


class TestSameBytes:
    """Equal crates give equal bytes."""

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("samples", [4, 40], ids=["single files", "folded"])
    def test_any_order_of_entities(self, form: Form, samples: int) -> None:
        """The order in which entities stand in the file does not matter."""
        crate = wide_run(samples)
        graph = [json.loads(bytes(raw)) for raw in crate.raw.values()]
        for seed in range(5):
            random.Random(seed).shuffle(graph)
            shuffled = decode_crate(json.dumps({"@graph": graph}).encode())
            assert render(shuffled, form) == render(crate, form)

    @pytest.mark.parametrize(
        "entities",
        [
            pytest.param([{"@type": "File", "name": name} for name in "abc"], id="files"),
            pytest.param(
                [
                    tool("t"),
                    *(
                        {"@type": "CreateAction", "instrument": ref("#t"), "result": {"@type": "File", "name": name}}
                        for name in "abc"
                    ),
                ],
                id="actions with nested files",
            ),
        ],
    )
    def test_blank_nodes(self, entities: list[Entity]) -> None:
        """The names that decoding gives to entities without an ``@id`` are never seen, nor do they decide."""
        drawn = {render(crate_of(*order)) for order in (entities, entities[::-1])}
        assert len(drawn) == 1
        assert "_:" not in drawn.pop()

    def test_any_process(self, tmp_path: Path) -> None:
        """The seed of Python's hashes does not matter."""
        path = tmp_path / "crate.json"
        with path.open("w") as out:
            write_crate(out, 700)
        script = (
            "import sys; from provwatch.crate import *; from provwatch.graph import *;"
            f"crate = read_crate({str(path)!r}); print(draw(crate, view_runs(crate), 'svg'))"
        )
        outputs = set()
        for seed in ("1", "2"):
            environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
            done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True)
            outputs.add(done.stdout)
        assert len(outputs) == 1


def crate_of_names(names: list[str]) -> Crate:
    """Return a crate that has each name in every place a name can stand, once as a name and once as an ``@id``."""
    number = len(names)
    ids = [f"{name}#{position}" for position, name in enumerate(names)]
    return crate_of(
        *({"@id": entity_id, "@type": "File", "name": name} for entity_id, name in zip(ids, names, strict=True)),
        *({**tool("x"), "@id": f"tool {position}", "name": name} for position, name in enumerate(names)),
        *(action(f"run {n}", f"tool {n}", [ids[n]], [f"dangling {names[n]}"], name=names[n]) for n in range(number)),
        root={"name": names[0]},
    )


names_of_all_kinds = st.text(min_size=1, max_size=60) | st.sampled_from(HOSTILE)


def labels_of(name: str) -> set[str]:
    """Return what a name and a dangling reference made of it may look like."""
    return {shorten(one_line(name)) or "unnamed", shorten(one_line(f"dangling {name}"))}


class TestHostileNames:
    """Names and ``@id``s are text: whatever they hold, they stay in their labels."""

    @given(name=names_of_all_kinds, other=names_of_all_kinds)
    @example(name=HOSTILE[6], other=HOSTILE[10])
    @settings(max_examples=150, deadline=None)
    def test_any_text(self, name: str, other: str) -> None:
        """Each form says the name, in one statement a line, and nothing but shapes and text."""
        crate = crate_of_names([name, other])
        svg, mermaid, dot = (render(crate, form) for form in ("svg", "mermaid", "dot"))
        said = {words for lines in read_mermaid(mermaid).boxes.values() for words in lines}
        assert labels_of(name) | labels_of(other) <= said
        assert labels_of(name) | labels_of(other) <= {words for lines in read_dot(dot) for words in lines}
        assert labels_of(name) | labels_of(other) <= set(svg_texts(svg))

    @pytest.mark.parametrize("name", HOSTILE)
    def test_known_tricks(self, name: str) -> None:
        """What is syntax to XML, Mermaid, Markdown or Graphviz is drawn as it is spelled."""
        self.test_any_text.hypothesis.inner_test(self, name, name)  # type: ignore[attr-defined]

    def test_graphviz_agrees(self) -> None:
        """Graphviz reads the hostile names as the labels that they are."""
        if shutil.which("dot") is None:
            pytest.skip("Graphviz is not here")
        crate = crate_of_names([name for name in HOSTILE if name.isascii()])
        done = subprocess.run(["dot", "-Tsvg"], input=render(crate, "dot").encode(), capture_output=True, check=True)
        assert done.stderr == b""
        said = {(element.text or "").replace("\xa0", " ") for element in ET.fromstring(done.stdout).iter(f"{SVG}text")}  # noqa: S314
        assert {shorten(one_line(name)) for name in HOSTILE if name.isascii()} <= said

    @pytest.mark.parametrize("form", FORMS)
    def test_what_only_a_redactor_could_add(self, form: Form) -> None:
        """Lone surrogates and line breaks that ``clean`` brings in do no harm either."""
        drawn = render(demo_run(), form, clean=lambda words: f"{words}\ud800\n\x00")
        drawn.encode()
        assert "S1.fq\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}" in re.sub(
            r"#65533;", "\N{REPLACEMENT CHARACTER}", drawn
        )


class TestSecrets:
    """URLs may hold passwords and signatures; what cleans them sees them whole."""

    URL = "https://ada:hunter2@example.org/data/reads.fq?X-Amz-Signature=" + "0123456789abcdef" * 4

    @staticmethod
    def clean(words: str) -> str:
        """Cut user-info and query out of URLs."""
        return re.sub(r"\?\S*", "?…", re.sub(r"//[^/@\s]+@", "//***@", words))

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("copies", [1, 100], ids=["one file", "folded files"])
    def test_urls_are_cleaned(self, form: Form, copies: int) -> None:
        """Neither labels, tool tips nor folder names of folded files let anything through."""
        urls = [self.URL.replace("reads", f"reads{number}") for number in range(copies)]
        crate = crate_of(
            tool("t"),
            *(action(f"#{url}", "#t", [url], [f"{url}/out.bam"], name=url) for url in urls),
            root={"name": self.URL},
        )
        drawn = render(crate, form, clean=self.clean)
        assert not re.search("hunter2|Signature|abcdef", drawn)
        assert "example.org" in drawn

    def test_extensions_never_come_from_a_query(self) -> None:
        """What looks like an extension in a signature is none."""
        urls = [f"https://example.org/{number}.bam?token=x/y.s3cr3t" for number in range(80)]
        crate = crate_of(tool("t"), action("1", "#t", urls, []), action("2", "#t", [], []))
        assert "80 files (bam)" in read_mermaid(render(crate)).names


class TestWords:
    """Labels are short and in one line."""

    @pytest.mark.parametrize(
        ("words", "short"),
        [
            pytest.param("", "", id="nothing"),
            pytest.param("a" * 40, "a" * 40, id="just fits"),
            pytest.param(
                "results/" + "x" * 40 + ".bam", "results/xxxxxxxxxxxx…xxxxxxxxxxxxxxx.bam", id="the ends are kept"
            ),
        ],
    )
    def test_shorten(self, words: str, short: str) -> None:
        """Labels of more than 40 characters lose their middle."""
        assert shorten(words) == short

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            pytest.param("plain", "plain", id="plain"),
            pytest.param(" a \r\n\t b ", "a b", id="white space is one space"),
            pytest.param("pass\x00word", "pass\N{REPLACEMENT CHARACTER}word", id="nothing moves together"),
            pytest.param("\ud800\uffff", "\N{REPLACEMENT CHARACTER}" * 2, id="what XML forbids"),
        ],
    )
    def test_one_line(self, words: str, line: str) -> None:
        """Text from a crate becomes one line of printable characters."""
        assert one_line(words) == line


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, as WCAG 2 defines it."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * channel for weight, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


class TestSvg:
    """The picture itself: self-contained, readable on any page, nothing on top of anything else."""

    @pytest.mark.parametrize("page", ["#ffffff", "#0d1117"], ids=["light", "dark"])
    def test_contrast(self, page: str) -> None:
        """Outlines and arrows stand out from light and dark pages (WCAG 1.4.11), text from its box (1.4.3)."""
        assert contrast(WIRE, page) >= 3
        assert min(contrast(colours.line, page) for colours in PALETTE.values()) >= 3
        assert min(contrast(INK, colours.fill) for colours in PALETTE.values()) >= 4.5

    def test_it_says_what_it_is(self) -> None:
        """Title, description, role and viewBox are there for screen readers and for scaling."""
        root = ET.fromstring(render(demo_run(), "svg"))  # noqa: S314 - our own output
        assert root.attrib["role"] == "img"
        assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"
        assert root.findtext(f"{SVG}title") == "demo/count"
        assert "3 tasks, 6 files, 2 parameters" in (root.findtext(f"{SVG}desc") or "")

    def test_long_names_are_there_in_full(self) -> None:
        """A box's tool tip has the name that its label had to shorten."""
        name = "a" * 30 + "-in-the-middle-" + "z" * 30
        assert f"<title>{name}</title>" in render(crate_of({"@id": "x", "@type": "File", "name": name}), "svg")

    @pytest.mark.parametrize(
        ("processes", "direction"),
        [pytest.param(("A", "B"), "LR", id="short"), pytest.param(tuple("ABCDEF"), "TD", id="long and thin")],
    )
    def test_direction(self, processes: tuple[str, ...], direction: str) -> None:
        """A long pipeline is drawn from the top, where a page has room."""
        crate = wide_run(1, processes)
        assert render(crate).startswith(f"flowchart {direction}\n")
        assert ("rankdir=LR" in render(crate, "dot")) is (direction == "LR")

    @given(
        sizes=st.lists(st.tuples(st.integers(10, 200), st.integers(10, 60)), min_size=1, max_size=12),
        data=st.data(),
        downward=st.booleans(),
    )
    @settings(max_examples=100, deadline=None)
    def test_boxes_never_overlap(self, sizes: list[tuple[int, int]], data: st.DataObject, *, downward: bool) -> None:
        """Any graph, with any boxes: each has its room, all of them in the picture, each link its two ends."""
        ends = st.integers(0, len(sizes) - 1)
        pairs = st.tuples(ends, ends).filter(lambda pair: pair[0] != pair[1])
        links = data.draw(st.lists(pairs, max_size=20, unique=True)) if len(sizes) > 1 else []
        layout = arrange(sizes, links, downward=downward)
        boxes = layout.places
        assert not [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if overlap(a, b)]
        assert all(0 <= box.x <= box.x + box.width <= layout.width for box in boxes)
        assert all(0 <= box.y <= box.y + box.height <= layout.height for box in boxes)
        for (source, target), route in zip(links, layout.routes, strict=True):
            first, last = (target, source) if route.backward else (source, target)
            assert (route.stops[0], route.stops[-1]) == (boxes[first], boxes[last])


def overlap(one: Place, other: Place) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def test_every_crate_of_the_corpus(shared: Path) -> None:
    """Every crate that can be read can be drawn, whoever wrote it."""
    drawn = 0
    for path in sorted([*shared.rglob("*.json"), *shared.rglob("*.jsonld")]):
        try:
            crate = read_crate(str(path))
        except CrateError:
            continue
        assert svg_texts(render(crate, "svg"))
        assert 1 <= len(read_mermaid(render(crate)).boxes) <= NODE_LIMIT
        assert read_dot(render(crate, "dot"))
        drawn += 1
    assert drawn > 300
