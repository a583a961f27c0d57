"""No secret comes out: not by its name, not by its look, not where else its value turns up."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crate.documents import Entity, nextflow_run, parameter, ref, refs, run_with, task
from metadata.deriving import derive, picked, values_of
from provwatch.metadata.redact import (
    MAX_DEPTH,
    REDACTED,
    Redactor,
    is_secret_name,
    is_secret_value,
    learn,
    redact_tree,
    secret_literals,
)
from provwatch.metadata.secret_text import as_text, assigned_values, without_assignments

SECRET = "correct-horse-battery"  # noqa: S105 - planted
AWS_KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
FOLDED = f"\n    {REDACTED}"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nabc+/=\n"
    "-----END RSA PRIVATE KEY-----"
)


class TestNames:
    """A parameter is secret by its name."""

    @pytest.mark.parametrize(
        "name",
        [
            *("input", "outdir", "genome", "key", "keys", "user", "max_memory", "tok_en", "public_url", ""),
            *("max_tokens", "num_tokens", "tokens_per_second", "tokenLimit", "tokenizer", "tokenize", "private_mode"),
            *("secret_santa", "gatk_license", "author", "authors", "two_pass", "passes", "bypass", "spin", "mapping"),
        ],
    )
    def test_ordinary_names(self, name: str) -> None:
        """Most parameters are nobody's secret."""
        assert not is_secret_name(name)
        assert values_of(run_with(parameter(name or None, "value-of-it")))["params"][0].endswith("=value-of-it")

    @pytest.mark.parametrize(
        "name",
        [
            "token",
            "api_token",
            "accessToken",
            "TOWER_ACCESS_TOKEN",
            "secret",
            "client-secret",
            "admin_token",
            "password",
            "db_passwd",
            "passphrase",
            "apikey",
            "api_key",
            "api-key",
            "api.key",
            "access_key",
            "aws.accessKey",
            "credentials",
            "private_key",
            *("account_key", "accountKey", "license_key", "db_pwd", "db_pass", "pass", "auth", "basicAuth", "pin"),
            *("hook_url", "webhook", "slackWebhookUrl", "sas", "azure.storage.sas", "Authorization", "tokens"),
        ],
    )
    def test_secret_names(self, name: str) -> None:
        """The value is replaced, the parameter is counted, and a warning names it."""
        assert is_secret_name(name)
        values = values_of(run_with(parameter(name, SECRET), parameter("other", 1)))
        assert values["params"] == sorted([f"{name}={REDACTED}", "other=1"])
        assert picked(values, "param_count", "warnings") == (2, [f"redacted-param:{name}"])

    @pytest.mark.parametrize("value", [None, "", True, False, 0, 12345678, 1.5, "true", "false", [], {}, [1], REDACTED])
    def test_some_values_are_no_secrets(self, value: object) -> None:
        """``use_token = false`` is a switch."""
        assert not is_secret_value(value)
        assert "warnings" not in values_of(run_with(parameter("use_token", value)))

    @pytest.mark.parametrize("value", ["x", "no", "12345678", ["a"], {"a": "b"}, {"@value": "x"}, " "])
    def test_all_others_are(self, value: object) -> None:
        """However short, and of whatever type."""
        assert is_secret_value(value)
        assert values_of(run_with(parameter("token", value)))["params"] == [f"token={REDACTED}"]


class TestElsewhere:
    """A secret parameter's value is looked for in everything else."""

    def test_in_every_text(self) -> None:
        """Wherever a crate repeats it, it is taken out."""
        said = f"see {SECRET}!"
        document = run_with(
            parameter("token", SECRET),
            parameter("command", f"tool --token {SECRET} -v"),
            run={"error": said, "agent": ref("#a")},
            workflow={"name": said, "version": said, "codeRepository": f"https://x.org/{SECRET}"},
            root={
                "name": said,
                "description": said,
                "license": said,
                "keywords": [said],
                "creator": said,
                "conformsTo": ref(f"https://x.org/{SECRET}"),
                "publisher": {"@type": "Organization", "name": said},
                "datePublished": said,
            },
            entities=[
                {"@id": "#a", "@type": "Person", "name": said},
                task(1, f"A ({SECRET})"),
                {"@id": "#s", "@type": "SoftwareApplication", "name": "tool", "version": SECRET},
                {"@id": "#i", "@type": "ContainerImage", "name": SECRET},
            ],
        )
        metadata = derive(document, promote=("command", "token"))
        assert SECRET not in json.dumps(metadata.full)
        assert f"command=tool --token {REDACTED} -v" in metadata.values["params"]
        assert {"redacted-param:command", "redacted-param:token"} <= set(metadata.values["warnings"])
        assert picked(metadata.values, "title", "samples", "param_token") == (f"see {REDACTED}!", [REDACTED], REDACTED)

    def test_in_names_of_files(self) -> None:
        """An address may carry it."""
        address = f"https://x.org/a?key={SECRET}"
        values = values_of(run_with(parameter("token", SECRET), run={"object": refs("#param/token/value", address)}))
        assert values["inputs"] == [f"https://x.org/a?key={REDACTED}"]

    @pytest.mark.parametrize(
        "written",
        [
            pytest.param("pass word/ü+1", id="as it is"),
            pytest.param("pass%20word%2F%C3%BC%2B1", id="in an address"),
            pytest.param("pass+word%2F%C3%BC%2B1", id="in a form"),
            pytest.param("pass word/\\u00fc+1", id="in JSON"),
        ],
    )
    def test_in_each_spelling(self, written: str) -> None:
        """Formats spell the same value in different ways."""
        document = run_with(parameter("token", "pass word/ü+1"), root={"description": f"<{written}>"})
        assert values_of(document)["description"] == f"<{REDACTED}>"

    @pytest.mark.parametrize("quoted", ['it\'s "a" <b>&\\n secret', "back\\slash'quote"])
    def test_quotes_are_no_hiding_place(self, quoted: str) -> None:
        """HTML, Groovy and shells escape quotes, each its own way."""
        import html  # noqa: PLC0415 - one spelling of five

        redactor = Redactor([quoted])
        for spelling in (
            quoted,
            json.dumps(quoted)[1:-1],
            html.escape(quoted),
            quoted.replace("\\", "\\\\").replace("'", "\\'"),
            quoted.replace("'", "'\\''"),
        ):
            assert redactor.text(f"a{spelling}b") == f"a{REDACTED}b"
            assert redactor.bytes(f"a{spelling}b".encode()) == f"a{REDACTED}b".encode()

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            pytest.param("short", "a short text", id="too short to look for"),
            pytest.param("results", "the results", id="an ordinary word"),
            pytest.param(True, "true", id="a switch"),
        ],
    )
    def test_ordinary_words_stay(self, value: object, text: str) -> None:
        """A secret of five letters would tear holes into everything else."""
        assert values_of(run_with(parameter("token", value), root={"description": text}))["description"] == text

    @pytest.mark.parametrize(
        ("parameters", "hidden"),
        [
            pytest.param([parameter("token", f" {SECRET}\n")], SECRET, id="white space around it"),
            pytest.param([parameter("pin", "12345678")], "12345678", id="a string of digits"),
            pytest.param([parameter("options", f"[secretKey:{SECRET}, region:eu]")], SECRET, id="a map of Groovy's"),
            pytest.param([parameter("extra", f"--api-key {SECRET} -v")], SECRET, id="a flag in a value"),
            pytest.param([parameter("tokens", ["first-of-them", SECRET])], SECRET, id="a list"),
            pytest.param(
                [parameter("tokens", json.dumps(["first-of-them", SECRET]))], SECRET, id="a list as nf-prov writes it"
            ),
            pytest.param([parameter("credentials", {"a": {"b": [SECRET]}})], SECRET, id="a map"),
            pytest.param([parameter("aws", {"x": {"secretKey": SECRET}})], SECRET, id="a key of a map"),
            pytest.param([parameter("aws", json.dumps({"x": [{"secretKey": SECRET}]}))], SECRET, id="the same as text"),
            pytest.param([parameter("token", {"@value": SECRET})], SECRET, id="a typed value"),
            pytest.param(
                [{"@id": "#param/token", "@type": "FormalParameter", "name": "token", "defaultValue": SECRET}],
                SECRET,
                id="a default value",
            ),
            pytest.param(
                [
                    {
                        "@id": "#v",
                        "@type": "PropertyValue",
                        "value": SECRET,
                        "exampleOfWork": ref("#param/my_password"),
                    },
                    {"@id": "#param/my_password", "@type": "FormalParameter"},
                ],
                SECRET,
                id="named by its formal parameter",
            ),
        ],
    )
    def test_wherever_it_is_learnt_from(self, parameters: list[Entity], hidden: str) -> None:
        """A secret may be in a list, a map, a default."""
        metadata = derive(run_with(*parameters, root={"description": f"<{hidden}>"}))
        assert hidden not in json.dumps(metadata.full)
        assert metadata.values["description"] == f"<{REDACTED}>"

    @pytest.mark.parametrize(
        "config",
        [
            pytest.param(f"params {{\n   api_token = '{SECRET}'\n}}\n", id="a parameter"),
            pytest.param(f'tower {{\n   accessToken = "{SECRET}"\n}}\n', id="Tower"),
            pytest.param(f"aws {{\n   secretKey = '{SECRET}'\n}}\n", id="AWS"),
        ],
    )
    def test_from_the_configuration_beside_it(self, tmp_path: Path, config: str) -> None:
        """The resolved nextflow.config knows secrets that the crate only repeats."""
        (tmp_path / "nextflow.config").write_text(config)
        values = values_of(nextflow_run(root={"description": f"<{SECRET}>"}), folder=tmp_path)
        assert values["description"] == f"<{REDACTED}>"


class TestLooks:
    """Some values give themselves away."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "https://example.org/a:b@c",
            "https://example.org:8080/x?mail=a@b.org",
            "ssh://git@github.com/a/b.git",
            "AKIA is a prefix, AKIATOOSHORT is no key",
            "sk-short, eyJhbGc, xoxb-1, ghp_x",
            "signal=5&design=Signature",
            "-----BEGIN CERTIFICATE-----abc-----END CERTIFICATE-----",
            "s3://bucket/AKIAABCDEFGHIJKLMNOPQ",
        ],
    )
    def test_ordinary_texts_stay(self, text: str) -> None:
        """What only resembles a secret is kept."""
        assert Redactor().text(text) == text
        assert Redactor().bytes(text.encode()) == text.encode()

    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            pytest.param(f"key {AWS_KEY}.", f"key {REDACTED}.", id="AWS access key"),
            pytest.param("ghp_" + "a1" * 18, REDACTED, id="GitHub token"),
            pytest.param("github_pat_" + "a_1" * 10, REDACTED, id="GitHub fine-grained token"),
            pytest.param("glpat-" + "a-1_" * 5, REDACTED, id="GitLab token"),
            pytest.param("xoxb-1234567890-abc", REDACTED, id="Slack token"),
            pytest.param("sk-" + "a1" * 12, REDACTED, id="key of a language model"),
            pytest.param("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-9", f"Bearer {REDACTED}", id="web token"),
            pytest.param(f"a{PEM}b", f"a{REDACTED}b", id="private key"),
            pytest.param(PEM.replace("\n", "\\n"), REDACTED, id="private key in JSON"),
            pytest.param(PEM[:31] + "\nabc", f"{REDACTED}\nabc", id="private key cut off"),
            pytest.param("https://u:p@x.org/a", f"https://{REDACTED}@x.org/a", id="password in an address"),
            pytest.param("redis://:p@x.org", f"redis://{REDACTED}@x.org", id="only a password"),
            pytest.param("ftp://u:p@ss@x.org/", f"ftp://{REDACTED}@x.org/", id="at sign in the password"),
            pytest.param("ftp://u:p:w@x.org/", f"ftp://{REDACTED}@x.org/", id="colon in the password"),
            pytest.param(
                "https://b.s3.amazonaws.com/k?X-Amz-Credential=AB%2Fus&X-Amz-Date=1&X-Amz-Signature=00ff",
                f"https://b.s3.amazonaws.com/k?X-Amz-Credential={REDACTED}&X-Amz-Date=1&X-Amz-Signature={REDACTED}",
                id="signed address",
            ),
            pytest.param("https://x.blob/a?sv=1&sig=ab%3D", f"https://x.blob/a?sv=1&sig={REDACTED}", id="Azure's"),
            pytest.param(
                "https://hooks.slack.com/services/T0/B0/xyz",
                f"https://hooks.slack.com/services/{REDACTED}",
                id="Slack hook",
            ),
            pytest.param(
                "https://a.webhook.office.com/webhookb2/x@y/z",
                f"https://a.webhook.office.com/{REDACTED}",
                id="Teams hook",
            ),
            pytest.param("curl Bearer abc123def", f"curl Bearer {REDACTED}", id="bearer"),
            pytest.param("Authorization: Basic dXNlcg==", f"Authorization: {REDACTED}", id="authorization"),
            pytest.param("?X-Goog-Signature=ab#x", f"?X-Goog-Signature={REDACTED}", id="Google's"),
            pytest.param("?Signature=ab\\u0026x", f"?Signature={REDACTED}\\u0026x", id="CloudFront's, in JSON"),
        ],
    )
    def test_secrets_are_taken_out(self, text: str, clean: str) -> None:
        """In text and in bytes, in any metadata."""
        assert Redactor().text(text) == clean
        assert Redactor().bytes(text.encode()) == clean.encode()
        assert Redactor().text(clean) == clean
        values = values_of(run_with(parameter("x", text), root={"description": text}))
        assert values["params"] == [f"x={clean.strip()}"]
        assert values["warnings"] == ["redacted-param:x"]
        assert values["description"] == clean.strip()

    @pytest.mark.parametrize(
        "hostile",
        [
            pytest.param("-----BEGIN PRIVATE KEY-----" * 20_000, id="keys without an end"),
            pytest.param("https://" * 50_000 + ":", id="addresses"),
            pytest.param("://" + "a:" * 100_000, id="colons"),
            pytest.param("eyJ" + "a." * 100_000, id="web token"),
            pytest.param("sig=" * 50_000, id="signatures"),
            pytest.param("token" * 50_000, id="names without a value"),
            pytest.param("a" * 300_000, id="one long word"),
            pytest.param('token="' * 30_000, id="quotes without an end"),
            pytest.param("'" * 50_000 + "token" + " " * 50_000 + "-." * 50_000, id="quotes, blanks and dots"),
        ],
    )
    def test_no_text_takes_for_ever(self, hostile: str) -> None:
        """Looking for secrets is linear: a crafted file cannot hold provwatch up."""
        started = time.process_time()
        Redactor([SECRET]).text(hostile)
        Redactor([SECRET]).bytes(hostile.encode())
        Redactor([SECRET]).bytes(f"a\n{hostile}".encode())
        learn(hostile.encode(), settings=True)
        assert time.process_time() - started < 5


class TestTrees:
    """JSON values are searched at any sensible depth."""

    @pytest.mark.parametrize(
        ("value", "clean"),
        [
            pytest.param({"a": [1, None, "x"]}, {"a": [1, None, "x"]}, id="nothing"),
            pytest.param({"use_token": True}, {"use_token": True}, id="a switch"),
            pytest.param({"a": [{"token": "x"}]}, {"a": [{"token": REDACTED}]}, id="in a list"),
            pytest.param({"token": {"a": "x"}}, {"token": REDACTED}, id="a whole map"),
            pytest.param({"token": 5, "x": 5}, {"token": 5, "x": 5}, id="a number"),
            pytest.param({"pin": 1234, "pass": "1234"}, {"pin": REDACTED, "pass": REDACTED}, id="digits of a password"),
            pytest.param(
                {"a": [{"@type": "PropertyValue", "name": "password", "value": "x"}]},
                {"a": [{"@type": "PropertyValue", "name": "password", "value": REDACTED}]},
                id="a PropertyValue",
            ),
            pytest.param({"a": '{"password": "x"}'}, {"a": f'{{"password": "{REDACTED}"}}'}, id="JSON in a string"),
            pytest.param({"a": "https://u:p@x"}, {"a": f"https://{REDACTED}@x"}, id="by its look"),
            pytest.param({"a": f"<{SECRET}>"}, {"a": f"<{REDACTED}>"}, id="by its value"),
        ],
    )
    def test_by_key_value_and_look(self, value: Any, clean: Any) -> None:
        """Keys stay, values go."""
        assert Redactor([SECRET]).tree(value) == clean

    def test_what_is_too_deep_to_look_at_goes(self) -> None:
        """A secret cannot hide below a thousand brackets, and they are no traceback."""
        value: Any = {"token": SECRET}
        for _ in range(50_000):
            value = [value]
        assert SECRET not in json.dumps(redact_tree(value))
        assert secret_literals(value) == set()
        shallow: Any = {"token": SECRET}
        for _ in range(MAX_DEPTH - 1):
            shallow = [shallow]
        assert secret_literals(shallow) == {SECRET}
        deep = "[" * 3_000 + json.dumps({"token": SECRET}) + "]" * 3_000
        assert SECRET not in json.dumps(derive(run_with(parameter("x", deep), parameter("token", SECRET))).full)

    @given(
        st.recursive(
            st.text() | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    )
    def test_redacting_twice_is_redacting_once(self, value: Any) -> None:
        """What is clean stays as it is."""
        redactor = Redactor([SECRET])
        clean = redactor.tree({"x": value, "token": "abc"})
        assert redactor.tree(clean) == clean
        assert clean["token"] == REDACTED


class TestAssignments:
    """Configuration and parameter files are cleaned whatever language they are in."""

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "input = 'x'",
            "token",
            "use_token = true",
            '"token": null,',
            "token: false",
            "token = {",
            "token = ''",
            "a token b",
            "max_tokens=100000",
            '{"tokens": 100000, "private": false}',
            "password = params.db_pass",
            "--token $TOKEN",
            "--token -v",
            "WF:x::token",
            "author: A. Person",
        ],
    )
    def test_ordinary_lines_stay(self, text: str) -> None:
        """Only values of secret names go."""
        assert without_assignments(text, settings=True) == text

    @pytest.mark.parametrize(
        ("text", "clean"),
        [
            pytest.param("token = 'x'", "token = '<redacted>'", id="Groovy"),
            pytest.param('   api_token = "x" // y', '   api_token = "<redacted>" // y', id="comment behind"),
            pytest.param('{"token": "a\\"b", "x": 1}', '{"token": "<redacted>", "x": 1}', id="JSON"),
            pytest.param('{"pin":5}', '{"pin":"<redacted>"}', id="a number in JSON stays JSON"),
            pytest.param("my.private-key: x y # z", "my.private-key: <redacted> # z", id="YAML"),
            pytest.param("tokens:\n  - a\n  - 'b'\nx: c", "tokens:\n  - <redacted>\n  - '<redacted>'\nx: c", id="list"),
            pytest.param("tokens:\n- a\nx: c", "tokens:\n- <redacted>\nx: c", id="a list at the same depth"),
            pytest.param(
                "a:\n  password: >\n    b\n    c\n  d: e",
                f"a:\n  password: >{2 * FOLDED}\n  d: e",
                id="folded",
            ),
            pytest.param("token: [a, b]", "token: <redacted>", id="a list on one line"),
            pytest.param("Server=x;Password=y;Z=1", "Server=x;Password=<redacted>;Z=1", id="connection string"),
            pytest.param("[secretKey:abc, region:eu]", "[secretKey:<redacted>, region:eu]", id="a map of Groovy's"),
            pytest.param("x --api-key abc -v", "x --api-key <redacted> -v", id="a flag"),
            pytest.param("x --token=abc -v", "x --token=<redacted> -v", id="a flag with a sign"),
            pytest.param("x --password 'a b' -v", "x --password '<redacted>' -v", id="a flag with quotes"),
            pytest.param("'token': 'it\\'s'", "'token': '<redacted>'", id="escaped quote"),
            pytest.param("--api_token=abc --x=1", "--api_token=<redacted> --x=1", id="command line"),
            pytest.param("url=https://x/?token=abc", "url=https://x/?token=<redacted>", id="in an address"),
            pytest.param("PASSWORD=x\nb=1", "PASSWORD=<redacted>\nb=1", id="capitals"),
            pytest.param("xtokenx=a passwd:2", "xtokenx=<redacted> passwd:<redacted>", id="several"),
            pytest.param("é_token=a", "é_token=<redacted>", id="other letters"),
        ],
    )
    def test_values_go(self, text: str, clean: str) -> None:
        """The name stays, so that one sees what is missing."""
        assert without_assignments(text, settings=True) == clean
        assert without_assignments(clean, settings=True) == clean

    def test_literal_values_are_known_by_how_peculiar_they_are(self) -> None:
        """In data files only a value goes that cannot be there by chance."""
        redactor = Redactor([SECRET, "ordinary", "12345678"])
        data = f"{SECRET} ordinary 12345678".encode()
        assert redactor.peculiar_bytes(data) == f"{REDACTED} ordinary 12345678".encode()
        assert redactor.bytes(data) == f"{REDACTED} {REDACTED} {REDACTED}".encode()

    def test_a_list_of_texts_is_cleaned_like_each(self) -> None:
        """Looking at many texts at once finds the same."""
        texts = ["a", f"b{SECRET}", AWS_KEY, "", "https://u:p@x"]
        redactor = Redactor([SECRET])
        assert list(redactor.texts(texts)) == [redactor.text(text) for text in texts]
        assert list(redactor.texts(["a", "b"])) == ["a", "b"]


class TestFiles:
    """Files are cleaned whole, and what was JSON stays JSON."""

    def test_numbers_are_not_torn(self) -> None:
        """A secret of digits is no part of another number, and a number of tokens is no secret."""
        redactor = Redactor(["100000", "123456"])
        assert redactor.bytes(b'{"a": 1000001, "max_tokens": 5}') == b'{"a": 1000001, "max_tokens": 5}'
        assert json.loads(redactor.bytes(b'{"a": 123456, "b": "x 123456"}')) == {"a": 123456, "b": f"x {REDACTED}"}

    @pytest.mark.parametrize("text", ["correctly", "incorrect", "x1correct", "correct2"])
    def test_words_are_not_torn(self, text: str) -> None:
        """An ordinary word is taken out only where it stands alone."""
        assert Redactor(["correct"]).text(text) == text
        assert Redactor(["correct"]).text(f"{text}, correct") == f"{text}, {REDACTED}"

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(f"a {SECRET}"),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["pin", SECRET]), inner),
        ),
        st.sampled_from([None, 4]),
        st.booleans(),
    )
    def test_any_json_stays_json(self, value: Any, indent: int | None, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        """Whatever the document, it can be read afterwards, and holds none of the planted secrets."""
        document = {"x": value, "password": "pl4nted", "a": [{"name": "api_key", "value": "pl4nted"}], "n": 123456}
        written = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        clean = Redactor([SECRET, "123456"]).bytes(written)
        after = json.loads(as_text(clean))
        assert SECRET.encode() not in clean
        assert b"pl4nted" not in clean
        assert (after["n"], after["password"]) == (123456, REDACTED)

    @pytest.mark.parametrize(
        ("text", "settings", "values"),
        [
            pytest.param('{"max_tokens": 100000, "pin": 123456}', True, set(), id="numbers"),
            pytest.param("tokens:\n  - first\n  - second", True, {"first", "second"}, id="YAML"),
            pytest.param("password: >\n  folded", True, {"folded"}, id="folded YAML"),
            pytest.param("aws { secretKey = 'abc' }", True, {"abc"}, id="configuration"),
            pytest.param("token: expired", False, set(), id="prose in a log"),
            pytest.param("run --token abc-123-def", False, {"abc-123-def"}, id="a command in a log"),
        ],
    )
    def test_files_give_secrets_away(self, text: str, settings: bool, values: set[str]) -> None:  # noqa: FBT001 - a column
        """What a file assigns to a secret name is looked for in others; a log's words are not."""
        assert learn(text.encode(), settings=settings) == values

    def test_values_come_without_their_quotes(self) -> None:
        """The value is what is searched for, not how it was written."""
        assert assigned_values("token='a b' --password \"c\" pwd=d") == {"a b", "c", "d"}
