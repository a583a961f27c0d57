"""A person's own metadata is merged last: beside what is derived, or, from a queue, over it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metadata.deriving import Values
from provwatch.errors import DescriptionError
from provwatch.metadata import is_derived, merge_user_metadata, user_given
from provwatch.metadata.bounds import json_size
from provwatch.metadata.schema import KEYS, MAX_OBJECT_BYTES

DERIVED: Values = {"pipeline": "demo/small", "samples": ["a", "b"], "schema": "1", "warnings": ["null-instrument"]}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEY = st.text(max_size=10) | st.sampled_from([key.name for key in KEYS]) | st.just("param_x")


class TestMerging:
    """User metadata stands beside what is derived."""

    @pytest.mark.parametrize(
        ("user", "prefix", "merged"),
        [
            pytest.param({}, "", DERIVED, id="none"),
            pytest.param({}, "lab_", DERIVED, id="none, with a prefix"),
            pytest.param({"project": "x"}, "", {**DERIVED, "project": "x"}, id="a key"),
            pytest.param({"project": "x"}, "lab_", {**DERIVED, "lab_project": "x"}, id="with a prefix"),
            pytest.param({"pipeline": "x"}, "lab_", {**DERIVED, "lab_pipeline": "x"}, id="a prefix keeps keys apart"),
            pytest.param({"a": {"b": [1, None]}}, "", {**DERIVED, "a": {"b": [1, None]}}, id="any JSON"),
            pytest.param(
                {"parameter": 1, "Pipeline": 2}, "", {**DERIVED, "parameter": 1, "Pipeline": 2}, id="likenesses"
            ),
        ],
    )
    def test_keys_outside_the_schema(self, user: Values, prefix: str, merged: Values) -> None:
        """They are taken as they are, in order with the others, whoever gave them."""
        for user_wins in (False, True):
            found = merge_user_metadata(DERIVED, user, prefix=prefix, user_wins=user_wins)
            assert found == merged
            assert list(found) == sorted(found)

    @pytest.mark.parametrize(
        ("user", "prefix", "named"),
        [
            pytest.param({"pipeline": "x"}, "", "pipeline", id="derived"),
            pytest.param({"agent": "x"}, "", "agent", id="of the schema, not derived here"),
            pytest.param({"param_x": 1, "project": 1, "samples": []}, "", "param_x, samples", id="several"),
            pytest.param({"x": 1}, "param_", "param_x", id="by its prefix"),
            pytest.param({"warnings": []}, "", "warnings", id="warnings"),
        ],
    )
    def test_keys_of_the_schema_are_an_error(self, user: Values, prefix: str, named: str) -> None:
        """One sentence names them and says what to do."""
        with pytest.raises(DescriptionError, match=f"cannot set {named}: .* --metadata-prefix") as caught:
            merge_user_metadata(DERIVED, user, prefix=prefix)
        assert caught.value.code == "metadata-clash"

    def test_nothing_given_is_changed(self) -> None:
        """Merging makes a new object."""
        derived, user = json.loads(json.dumps(DERIVED)), {"warnings": ["x"], "a": [1]}
        merge_user_metadata(derived, user, user_wins=True)
        assert (derived, user) == (DERIVED, {"warnings": ["x"], "a": [1]})


class TestOverriding:
    """In a description from a queue the user wins, and it shows."""

    @pytest.mark.parametrize(
        ("user", "value", "warnings"),
        [
            pytest.param({}, "demo/small", ["null-instrument"], id="nothing"),
            pytest.param({"pipeline": "x"}, "x", ["null-instrument", "overridden:pipeline"], id="a key"),
            pytest.param({"pipeline": None}, None, ["null-instrument", "overridden:pipeline"], id="null"),
            pytest.param({"warnings": ["mine"]}, "demo/small", ["mine", "overridden:warnings"], id="warnings"),
            pytest.param({"warnings": "mine"}, "demo/small", ["mine", "overridden:warnings"], id="warnings as text"),
            pytest.param({"warnings": 5}, "demo/small", ["overridden:warnings"], id="warnings as number"),
            pytest.param({"warnings": [1, {}, "a"]}, "demo/small", ["a", "overridden:warnings"], id="mixed warnings"),
            pytest.param({"warnings": None}, "demo/small", ["overridden:warnings"], id="no warnings"),
        ],
    )
    def test_it_is_said(self, user: Values, value: Any, warnings: list[str]) -> None:
        """Whatever the description holds, the warnings stay a list of texts."""
        merged = merge_user_metadata(DERIVED, user, user_wins=True)
        assert (merged["pipeline"], merged["warnings"]) == (value, warnings)

    @pytest.mark.parametrize(
        ("user", "given_by_user"),
        [
            pytest.param({}, {}, id="nothing"),
            pytest.param({"project": "x"}, {"project": "x"}, id="a key of its own"),
            pytest.param({"pipeline": "x"}, {"pipeline": "x"}, id="over a derived one"),
            pytest.param({"agent": "x"}, {"agent": "x"}, id="of the schema, not derived here"),
            pytest.param({"param_x": 1}, {"param_x": 1}, id="like a promoted parameter"),
        ],
    )
    def test_the_fingerprint_can_tell_what_a_user_gave(self, user: Values, given_by_user: Values) -> None:
        """From a package's metadata alone."""
        assert user_given(merge_user_metadata(DERIVED, user, user_wins=True)) == given_by_user

    def test_metadata_from_elsewhere_is_all_the_users(self) -> None:
        """A head that provwatch did not write may hold anything."""
        assert user_given({"warnings": "text", "a": 1}) == {"a": 1}
        assert user_given({"warnings": [5, None, "overridden:schema"], "schema": 2}) == {"schema": 2}


class TestSize:
    """The whole stays under 64 KiB, or it is said."""

    @pytest.mark.parametrize("user_wins", [False, True])
    def test_too_much_is_an_error(self, *, user_wins: bool) -> None:
        """What a person gives is never cut."""
        merge_user_metadata(DERIVED, {"notes": "x" * 60_000}, user_wins=user_wins)
        with pytest.raises(DescriptionError, match=r"metadata takes \d+ bytes with yours, and 65536 is the limit"):
            merge_user_metadata(DERIVED, {"notes": "x" * 66_000}, user_wins=user_wins)
        with pytest.raises(DescriptionError, match="65536 is the limit"):
            merge_user_metadata(DERIVED, {"notes": "😀" * 17_000}, user_wins=user_wins)


@given(user=st.dictionaries(KEY, JSON, max_size=8), prefix=st.sampled_from(["", "lab_"]), user_wins=st.booleans())
def test_anything_is_merged_or_refused(user: Values, prefix: str, *, user_wins: bool) -> None:
    """Whatever JSON a person or a queue gives."""
    try:
        merged = merge_user_metadata(DERIVED, user, prefix=prefix, user_wins=user_wins)
    except DescriptionError:
        assert not user_wins
        assert any(is_derived(prefix + key) for key in user)
        return
    assert json_size(merged) <= MAX_OBJECT_BYTES
    assert all(merged[prefix + key] == value for key, value in user.items() if prefix + key != "warnings")
    assert all(isinstance(code, str) for code in merged["warnings"])
    assert user_given(merged).keys() >= {prefix + key for key in user} - {"warnings"}
