"""Raw files: which difference is another content, and that a commit tells them as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.raw_file import RawFile, describe_change

TIMES = RawFile(size=10, modified_ns=1_700_000_000_000_000_000, changed_ns=1_700_000_000_500_000_000)
HASHED = replace(TIMES, content="abc")

sizes = st.integers(0, 2**63)
times = st.integers(-(2**63), 2**63)
contents = st.just("") | st.text(min_size=1, max_size=64)
raw_files = st.builds(RawFile, sizes, times, times, contents)
few_files = st.builds(RawFile, st.integers(0, 1), st.integers(0, 1), st.integers(0, 1), st.sampled_from(["", "a", "b"]))
folders = st.dictionaries(st.sampled_from(["a.csv", "b.csv", "c.csv"]), few_files)


@pytest.mark.parametrize(
    ("before", "now", "is_same"),
    [
        pytest.param(TIMES, TIMES, True, id="untouched"),
        pytest.param(TIMES, replace(TIMES, size=11), False, id="another size"),
        pytest.param(TIMES, replace(TIMES, modified_ns=1), False, id="another time"),
        pytest.param(TIMES, replace(TIMES, changed_ns=1), False, id="its time was put back"),
        pytest.param(HASHED, replace(HASHED, modified_ns=1, changed_ns=2), True, id="the same bytes again"),
        pytest.param(HASHED, replace(HASHED, content="xyz"), False, id="other bytes with the same times"),
        pytest.param(HASHED, replace(HASHED, size=11), False, id="another size with a content"),
        pytest.param(TIMES, replace(HASHED, content="xyz", changed_ns=1), False, id="only one content is known"),
    ],
)
def test_the_content_decides_where_it_is_known_and_else_size_and_times(
    before: RawFile, now: RawFile, *, is_same: bool
) -> None:
    assert before.is_same(now) is is_same


@given(few_files, few_files)
def test_to_be_the_same_has_no_direction_and_each_file_is_itself(first: RawFile, second: RawFile) -> None:
    assert first.is_same(second) is second.is_same(first)
    assert first.is_same(replace(first))


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        pytest.param({}, {}, None, id="nothing"),
        pytest.param({"a": TIMES}, {"a": TIMES}, None, id="the same"),
        pytest.param({"a": HASHED}, {"a": replace(HASHED, modified_ns=1)}, None, id="the same content"),
        pytest.param({}, {"d/a.csv": TIMES}, "d/a.csv is new", id="new"),
        pytest.param({"d/a.csv": TIMES}, {"d/a.csv": HASHED}, "d/a.csv changed", id="changed"),
        pytest.param({"d/a.csv": TIMES}, {}, "d/a.csv was removed", id="removed"),
        pytest.param({"a": TIMES}, {"b": TIMES}, "b is new", id="renamed"),
    ],
)
def test_a_change_is_told_in_a_clause(before: dict[str, RawFile], now: dict[str, RawFile], change: str | None) -> None:
    assert describe_change(before, now) == change


@given(folders, folders)
def test_each_change_and_nothing_else_is_told(before: dict[str, RawFile], now: dict[str, RawFile]) -> None:
    differences = {f"{path} is new" for path in now if path not in before}
    differences |= {f"{path} was removed" for path in before if path not in now}
    for path in before.keys() & now.keys():
        old, new = before[path], now[path]
        deciding = ["size", "content"] if old.content or new.content else ["size", "modified_ns", "changed_ns"]
        if any(getattr(old, name) != getattr(new, name) for name in deciding):
            differences.add(f"{path} changed")
    change = describe_change(before, now)
    assert change in differences if differences else change is None


@given(raw_files)
def test_a_commit_tells_a_file_as_it_was(file: RawFile) -> None:
    assert RawFile.from_json(json.loads(json.dumps(file.to_json()))) == file


def test_a_content_that_is_not_known_takes_no_room() -> None:
    assert TIMES.to_json() == {"size": 10, "modified_ns": TIMES.modified_ns, "changed_ns": TIMES.changed_ns}


@pytest.mark.parametrize(
    "fields",
    [
        *(None, 1, "text", [], {}, {"size": 1}, {**HASHED.to_json(), "name": "a"}),
        *({**HASHED.to_json(), name: "1"} for name in ("size", "modified_ns", "changed_ns", "more")),
        *({**HASHED.to_json(), name: 1.5} for name in ("size", "modified_ns", "changed_ns", "content")),
        {**HASHED.to_json(), "size": True},
        {**HASHED.to_json(), "content": None},
    ],
    ids=repr,
)
def test_anything_else_is_no_raw_file(fields: Any) -> None:
    with pytest.raises(TypeError):
        RawFile.from_json(fields)
