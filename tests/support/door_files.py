"""Hostile files for the drop folder: names, bytes, JSON, requests and records with something wrong, sizes and types."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

BATCH = 40
"""Files that are dropped together, besides one that waits for its table and a good one."""
MEBIBYTE = 2**20
GOOD: dict[str, Any] = {"table": "sales", "start_date": "2024-01-01"}


def _is_free(name: bytes) -> bool:
    return b"/" not in name and b"\0" not in name


raw_names = st.binary(max_size=20).filter(_is_free) | st.sampled_from(
    [
        b"",
        b"\xff",
        b"two\nlines",
        b"\x1b[2J",
        b"\xe2\x80\xaegnp",
        b"a.error.txt",
        b"x" * 240,
        b"\xff" * 240,
        b".json",
        b"*?[a]",
    ]
)
endings = st.sampled_from([b".json"] * 12 + [b".JSON", b".json.part", b".txt"])

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "2024-01-01",
            "2024-02-30",
            "0001-01-01",
            "9999-12-31",
            "20240101",
            "sales",
            "nowhere",
            "broken",
            10**30,
            1e999,
        ]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        "table",
        "start_date",
        "end_date",
        "exclude_dates",
        "keys",
        "only",
        "cascade",
        "parameters",
        "reason",
        "requested_by",
        "x",
    ]
)
requests = st.builds(lambda changes: GOOD | changes, st.dictionaries(fields, values, max_size=2)) | st.sampled_from(
    [
        GOOD,
        GOOD | {"table": ["sales", "visits"]},
        GOOD | {"table": "broken"},
        GOOD | {"end_date": "2024-03-01", "exclude_dates": ["2024-02-01"] * 3},
        GOOD | {"start_date": "0001-01-01", "end_date": "9999-12-31"},
    ]
)
records = st.builds(
    lambda fields, changes: fields | changes,
    st.sampled_from(
        [
            {
                "id": "a",
                "mode": "landing",
                "table": "sales",
                "accepted_at": "2024-01-01T00:00:00Z",
                "days": ["2024-01-01"],
            },
            {
                "id": "a",
                "mode": "daily",
                "table": "sales",
                "accepted_at": "2024-01-01T00:00:00Z",
                "days": ["0001-01-01", "9999-12-31"],
            },
            {
                "id": "a",
                "mode": "undo",
                "table": "sales",
                "accepted_at": "2024-01-01T00:00:00Z",
                "days": ["2024-01-01"],
            },
        ]
    ),
    st.dictionaries(
        st.sampled_from(
            ["mode", "days", "published", "failed", "cancelled", "skipped", "keys", "cause", "owed", "rows", "only"]
        ),
        values,
        max_size=2,
    ),
)
documents = requests | records | values | st.lists(requests | records, max_size=5)
texts = documents.map(json.dumps)
contents = (
    st.binary(max_size=60)
    | texts.map(str.encode)
    | texts.map(lambda text: text.encode("utf-8-sig"))
    | texts.map(lambda text: text.encode("utf-16"))
    | st.tuples(texts, st.integers(1, 30)).map(lambda both: both[0].encode()[: -both[1]])
    | st.sampled_from([b"[", b'{"a":', b'[{"table":']).flatmap(
        lambda part: st.integers(1, 1200).map(lambda depth: part * depth)
    )
    | st.integers(40, 60).map(
        lambda depth: (json.dumps(GOOD)[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}").encode()
    )
    | st.integers(40, 1000).map(lambda depth: b"[" * depth + b"]" * depth)
    | st.sampled_from(
        [b'{"a": 1, "a": 1}', b'{"table": NaN}', b'"\\ud800"', b"9" * 5000, b'"' * 3000, b'"' + b'\\"' * 3000]
    )
    | st.sampled_from([MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1]).map(lambda size: json.dumps(GOOD).encode().ljust(size))
    | st.sampled_from([100, 4999, 5000, 5001]).map(
        lambda count: (
            json.dumps([GOOD] * count).encode() if count < 200 else json.dumps([{"table": "s"}] * count).encode()
        )
    )
    | st.just(b'{"table":' + b"[" * 40 + b"]" * 40 + b"}")
)
kinds = st.sampled_from(["file"] * 16 + ["folder", "pipe", "socket", "link", "dead link", "loop", "hard link"])
changes = st.sampled_from(["none"] * 6 + ["replace", "append", "truncate", "remove", "touch"])


@dataclass(frozen=True)
class Drop:
    """One file to drop, and what is done to it while somebody looks."""

    name: bytes
    content: bytes
    kind: str
    change: str
    other_content: bytes


drops = st.builds(Drop, st.tuples(raw_names, endings).map(b"".join), contents, kinds, changes, texts.map(str.encode))

NOTE_OF_WAITING = f"{BATCH}~waiting.error.txt"
strays = st.dictionaries(
    st.sampled_from(["accepted", "rejected", ".taken", ".notes", "README", NOTE_OF_WAITING]),
    st.binary(max_size=20) | st.just(f"{BATCH}~waiting.json waits: table 'broken' is broken\n".encode()),
    max_size=4,
)
"""Files that are no requests: where folders of ours have to be, and under the name of a note of ours."""
