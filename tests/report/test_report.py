"""The report of a run: right, the same every time, small, and hostile text stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quilt3
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from conftest import Finished
from provwatch.crate import read_crate_file
from provwatch.metadata import Metadata, Sources, derive_metadata, gather
from provwatch.metadata.schema import KEY_BY_NAME
from provwatch.report import METADATA, README, REPORT, SUMMARIZE, PackagedFile, generate
from provwatch.report.markdown import code, link, text, web_link
from publish.registries import content

Run = Callable[..., Finished]
CRATES = sorted((Path(__file__).parent.parent / "data/crates").iterdir())
GOLDEN = Path(__file__).parent / "demo-report.md"
MAX_BYTES = 256 * 1024
RENDER = MarkdownIt("gfm-like", {"html": True, "linkify": True})


def facts(folder: Path) -> tuple[Sources, Metadata, list[PackagedFile]]:
    """Return what a report of a folder is made of."""
    crate = next(path for path in sorted(folder.rglob("*.json")) if path.name != "expected.json" and is_crate(path))
    sources = gather(read_crate_file(crate))
    files = [
        PackagedFile(path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return sources, derive_metadata(sources), files


def is_crate(path: Path) -> bool:
    """Say whether a JSON file is a crate."""
    return '"@graph"' in path.read_text("utf-8")


def generated(folder: Path, **more: Any) -> dict[str, bytes]:
    """Return the generated files of a folder."""
    sources, metadata, files = facts(folder)
    return generate(metadata, {**metadata.values, **more}, sources, files, title="lab/run")


def report(values: dict[str, Any], files: list[PackagedFile] | None = None) -> str:
    """Return the report on some metadata."""
    return generate(None, values, None, files or [], title="lab/run")[REPORT].decode()


def links(html: str) -> list[str]:
    """Return what a page links to or loads."""
    return re.findall(r'(?:href|src)="([^"]*)"', html)


class TestTheDemo:
    """The recorded run's package, as a user gets it."""

    def test_golden(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """The report is the one that was looked at."""
        provwatch("package", demo, "--registry", registry)
        assert content(registry, "demo/results")[REPORT].decode() == GOLDEN.read_text("utf-8")

    def test_nothing_in_the_outdir(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """The folder is as it was; the files lie in the registry, and say that they are generated."""
        before = sorted(demo.rglob("*"))
        provwatch("package", demo, "--registry", registry)
        assert sorted(demo.rglob("*")) == before
        package = quilt3.Package.browse("demo/results", registry=str(registry))
        added = {key for key, entry in package.walk() if entry.meta.get("provwatch") == {"generated": True}}
        assert added == {REPORT, METADATA, SUMMARIZE}
        for key in added:
            assert (registry / ".provwatch/objects").as_uri() in str(package[key].physical_key)

    def test_where_the_outdir_has_its_own(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """A README.md and a quilt_summarize.json of the pipeline stay; without a README.md there is one."""
        (demo / SUMMARIZE).write_text("[]")
        (demo / README).unlink()
        provwatch("package", demo, "--registry", registry)
        held = content(registry, "demo/results")
        assert held[SUMMARIZE] == b"[]"
        assert held[README].decode().startswith("# provwatch/demo-count 0.1.0\n")

    def test_where_there_is_no_room(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """A file called provwatch, or a folder called README.md, is in nobody's way: the rest is packaged."""
        (demo / "provwatch").write_text("a log")
        (demo / README).unlink()
        (demo / README).mkdir()
        (demo / README / "part").write_text("a part")
        finished = provwatch("package", demo, "--registry", registry, "--json")
        assert finished.json["outcome"] == "pushed", finished
        held = content(registry, "demo/results")
        assert (held["provwatch"], held[f"{README}/part"]) == (b"a log", b"a part")
        assert REPORT not in held[SUMMARIZE].decode()

    def test_a_duplicate_all_the_same(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """Generated files do not count: a package without them holds the same content. --refresh adds them."""
        provwatch("package", demo, "--registry", registry, "--no-summary")
        again = provwatch("package", demo, "--registry", registry, "--json").json
        assert again["outcome"] == "duplicate"
        fresh = provwatch("package", demo, "--registry", registry, "--refresh", "--json").json
        assert (fresh["outcome"], fresh["entries"]) == ("pushed", 10)
        assert provwatch("package", demo, "--registry", registry, "--refresh", "--json").json["outcome"] == "duplicate"

    def test_secrets(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """A secret that only a parameters file gives away is in no generated file either."""
        secret = "hunter2" * 2
        (demo / "params.json").write_text(json.dumps({"api_token": secret}))
        provwatch("package", demo, "--registry", registry, "--metadata", json.dumps({"note": f"used {secret}"}))
        held = content(registry, "demo/results")
        assert not [key for key, data in held.items() if secret.encode() in data]
        again = provwatch("package", demo, "--registry", registry, "--refresh", "--json").json
        assert again["outcome"] in {"pushed", "duplicate"}

    def test_users_keys(self, demo: Path, registry: Path, provwatch: Run) -> None:
        """What a person added is in the report and in the side file."""
        provwatch("package", demo, "--registry", registry, "--metadata", '{"project": "atlas"}')
        held = content(registry, "demo/results")
        assert "| `project` | `atlas` |" in held[REPORT].decode()
        assert json.loads(held[METADATA])["project"] == "atlas"


@pytest.mark.parametrize("folder", CRATES, ids=lambda folder: folder.name)
class TestEveryCrate:
    """Reports on every kind of run."""

    def test_the_same_bytes(self, folder: Path) -> None:
        """Made twice, it is the same; and it is small."""
        made = generated(folder)
        assert made == generated(folder)
        assert max(map(len, made.values())) < MAX_BYTES

    def test_links_lead_somewhere(self, folder: Path) -> None:
        """Each link leads to a file of the package, from where the page lies, or to the web."""
        made = generated(folder)
        keys = {file.logical_key for file in facts(folder)[2]} | set(made)
        for key in {REPORT, README} & set(made):
            for target in links(RENDER.render(made[key].decode())):
                if not target.startswith("https://"):
                    path = target.removeprefix("../") if key == REPORT else target
                    assert re.sub("%([0-9A-F]{2})", lambda hexed: chr(int(hexed[1], 16)), path) in keys


@pytest.mark.parametrize("value", [5, {}, "soon", True, [1, None], None, [{"a": 1}]], ids=str)
def test_values_of_other_types(value: Any) -> None:
    """A description from a queue may override any key with anything: the report is written all the same."""
    values = dict.fromkeys(KEY_BY_NAME, value)
    assert report({**values, "run_status": "failed"}).startswith("# ")
    assert report({**values, "mine": value}).startswith("# ")


class TestFailures:
    """What did not go well is said at the top."""

    def test_a_failed_run(self) -> None:
        """The first sentence says so, with the error."""
        values = {"schema": "1", "pipeline": "x", "run_name": "r", "run_status": "failed", "run_error": "no `disk`"}
        assert "The run r **failed**: no \\`disk\\`" in report(values).splitlines()[2]

    def test_no_crate(self) -> None:
        """A folder without one gets an honest page."""
        page = report({"schema": "1", "warnings": ["no-crate"]}, [PackagedFile("a/b.csv", 3)])
        assert "nothing says what made these files" in page
        assert "[a/b\\.csv](../a/b.csv), 3 B" in page


HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://tracker.example/x.png)",
    "[x](javascript:alert(1))",
    "http://evil.example",
    "www.evil.example",
    "evil.example",
    "//evil.example/x",
    "a|b",
    "```\n# x",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "*bold* _under_ ~~gone~~",
    "\x1b[31m\u202eabc",
    "`code` | `x`",
    "\\",
    "$$x$$",
]


class TestHostileText:
    """Whatever a crate or a file name says, it is shown and not obeyed."""

    @pytest.mark.parametrize("words", HOSTILE)
    def test_everywhere(self, words: str) -> None:
        """No tag, image, link or table cell comes from text."""
        keys = ("pipeline", "run_name", "run_error", "agent", "command_line", "description", "title", "agent_orcid")
        values: dict[str, Any] = dict.fromkeys((*keys, "organization_ror", "license", "repository"), words)
        values |= {"schema": "1", "run_status": "failed", "params": [f"{words}={words}"], "samples": [words]}
        values |= {"warnings": [words], "containers": [words], "tasks_total": 1, "process_tasks": [f"{words}=1"]}
        html = RENDER.render(report({**values, "mine": words}, [PackagedFile(f"{words}.csv", 1)]))
        assert not re.search(r"<(script|img|iframe|h1[^>]*>x)", html)
        assert all(target.startswith("../") or target == words for target in links(html))
        assert not any(target.startswith(("javascript:", "http://tracker")) for target in links(html))
        assert html.count("<h1>") == 1

    @given(st.text())
    def test_text(self, words: str) -> None:
        """Any text is one paragraph of text."""
        html = RENDER.render(f"x {text(words)}")
        assert re.sub(r"<p>|</p>\n", "", html).count("<") == 0

    @given(st.text())
    def test_code_in_tables(self, words: str) -> None:
        """Any text is one cell."""
        html = RENDER.render(f"| a | b |\n|---|---|\n| {code(words)} | {text(words)} |")
        assert html.count("<td>") == 2

    @given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
    def test_links(self, key: str) -> None:
        """Any file name can be linked to, unless a browser would resolve it to another."""
        html = RENDER.render(f"- {link(key, key, above='../')}")
        assert len(links(html)) == (not any(part in {"", ".", ".."} for part in key.split("/")))

    @pytest.mark.parametrize("address", ["javascript:x", "http://u:p@x", "file:///x", "//x", "http://[", ""])
    def test_no_web_address(self, address: str) -> None:
        """What is no web address is not linked."""
        assert web_link("x", address) == "x"


class TestLarge:
    """Bounded, whatever there is."""

    def test_many_files(self) -> None:
        """A hundred thousand files in a thousand folders are a short page."""
        files = [PackagedFile(f"d{number % 1000}/f{number}.bam", 1) for number in range(100_000)]
        made = generate(None, {"schema": "1"}, None, files, title="lab/run")
        assert max(map(len, made.values())) < 64 * 1024
        assert "960 more kinds" in made[REPORT].decode()

    def test_long_lists(self) -> None:
        """Lists are folded with their number."""
        values = {
            "schema": "1",
            "run_status": "succeeded",
            "samples": [f"s{n}" for n in range(2_000)],
            "sample_count": 9_000,
        }
        page = report({**values, "params": [f"p{n}={'x' * 1_024}" for n in range(256)]})
        assert "9,000: `s0`" in page
        assert "and 1,940 more" in page
        assert "216 more in provwatch/metadata.json" in page
        assert len(page) < MAX_BYTES
