"""The ids of records: derived from the act of asking, and telling from which dropped file a record can come.

An id is ``<label>-<table>-<digest of the act>``. The label comes from the file's name, so the records of a file are
found among the names in a folder: there is no index that a crash or a person could put out of step with the folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256

from reloads.tables.definition import TABLE_NAME

LONGEST_LABEL = 40
_NAME_DIGITS = 6


def make_record_id(table: str, *, mode: str, origin: str, file: str | None) -> str:
    """The id of the record for ``table`` of the act of asking that ``origin`` identifies."""
    label = _label_of_file(file, mode) if file else mode
    act = _digest(f"{origin}\0{table}", 12)
    return f"{label}-{table}-{act}"


def matcher_of_records(file: str) -> Callable[[str], bool]:
    """Whether a record of the dropped file of that name can lie under a name; it can for few other records."""
    # Before names that are cut had a digest, their ids began with the cut name or, without one, with the mode.
    labels = {_label_of_file(file, "landing"), _slug(file)[:LONGEST_LABEL] or "landing"}
    starts = tuple(f"{label}-" for label in sorted(labels))
    pattern = re.compile(rf"({'|'.join(map(re.escape, starts))}){TABLE_NAME.pattern}-[0-9a-f]{{12}}\.json")
    # The start alone first: of 100,000 names a pattern takes five times as long.
    return lambda name: name.startswith(starts) and pattern.fullmatch(name) is not None


def is_id_for_table(record_id: str, table: str) -> bool:
    """Whether a record of that id is about the table; also one that a person named, which may be about any."""
    # An undo's id ends as others do.
    match = re.fullmatch(rf".*-({TABLE_NAME.pattern})-[0-9a-f]{{12}}", record_id)
    return match is None or record_id[:-13].endswith(f"-{table}")


def _label_of_file(file: str, mode: str) -> str:
    slug = _slug(file)
    if 0 < len(slug) <= LONGEST_LABEL:
        return slug
    # So that of many names that begin alike, or have no letter of ours, each has its own label.
    return f"{slug[: LONGEST_LABEL - _NAME_DIGITS - 1] or mode}-{_digest(file, _NAME_DIGITS)}"


def _slug(file: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", file.removesuffix(".json").lower()).strip("-")


def _digest(text: str, digits: int) -> str:
    # File names may hold stray bytes, which Python reads as lone surrogates.
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]
