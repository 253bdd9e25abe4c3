"""A listing of a store: it sees what lies there and nothing else, asks for little, and says as of when it knows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.stores import listing
from reloads.stores.listing import Listing
from reloads.stores.object_store import Found, ObjectStore
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_server import BUCKET

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARTS = ["a", "a-b", "a.csv", "a0", "b"]
paths = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("/".join)


class Shelf:
    """Objects in memory, in whatever order a server lists them; after each of them somebody may write others."""

    def __init__(self, keys: set[str], *, order: Callable[[str], Any] = str, written_later: Sequence[str] = ()) -> None:
        self.keys = keys
        self._order = order
        self._written_later = list(written_later)

    def look(self, prefix: str) -> Iterator[Found]:
        passed: set[str] = set()
        while inside := {key for key in self.keys if key.startswith(f"{prefix}/" if prefix else "")} - passed:
            key = min(inside, key=self._order)
            # What is written into a part that was passed is not seen.
            passed |= {other for other in inside if self._order(other) <= self._order(key)}
            yield Found(key, 1, NOW)
            for other in self._written_later:
                self.keys.add(other)
                if self._order(other) < self._order(key):
                    passed.add(other)
            self._written_later.clear()


@given(
    keys=st.sets(paths, max_size=12),
    asked=st.lists(st.sampled_from(["", "a", "a/", "a-", "a/a", "a/a-b/", "a/a.csv", "b/", "b/a", "c/d"]), max_size=8),
    order=st.sampled_from([str, lambda key: key.split("/")]),
    whole=st.sampled_from([1, 3, 8_000]),
    one_by_one=st.sampled_from([1, 3, 100]),
)
def test_what_begins_so_is_seen_and_nothing_else(
    keys: set[str], asked: list[str], order: Callable[[str], Any], whole: int, one_by_one: int
) -> None:
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(listing, "WHOLE_OBJECTS", whole)
        patches.setattr(listing, "FOLDERS_ONE_BY_ONE", one_by_one)
        shelf = Shelf(keys, order=order)
        of_store = Listing(cast("ObjectStore", shelf), "", count(1))
        assert of_store.is_empty() is (not keys)
        for beginning in asked:
            expected = sorted(key for key in keys if key.startswith(beginning))
            assert [found.key for found in of_store.find(beginning).found] == expected


@given(
    others=st.sets(paths, max_size=6),
    whole=st.sampled_from([1, 3, 8_000]),
    one_by_one=st.sampled_from([1, 3, 100]),
    asked_before=st.lists(st.sampled_from(["day/", "a/", "b"]), max_size=3),
)
def test_what_was_there_before_a_sight_is_in_every_sight_that_is_asked_for_after_it(
    others: set[str], whole: int, one_by_one: int, asked_before: list[str]
) -> None:
    """A sender writes two files and its marker while a list is on its way."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(listing, "WHOLE_OBJECTS", whole)
        patches.setattr(listing, "FOLDERS_ONE_BY_ONE", one_by_one)
        shelf = Shelf({*others, "day/m"}, written_later=["day/a", "day/z", "day/n-DONE"])
        of_store = Listing(cast("ObjectStore", shelf), "", count(1))
        for beginning in asked_before:
            of_store.find(beginning)
        sight = of_store.find("day/")
        found = {each.key for each in of_store.find("day/", after=sight.ended).found}
        if "day/n-DONE" in {each.key for each in sight.found}:
            assert found >= {"day/a", "day/z"}


def test_a_small_tree_is_one_request_and_a_large_one_is_asked_for_by_folder(
    proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ObjectStore(f"s3://{BUCKET}/listed")
    for day in range(1, 29):
        store.write(f"raw/2026-02-{day:02}/a.csv", b"1")

    def asked(days: int) -> int:
        proxy.requests.clear()
        of_store = Listing(store, "raw", count(1))
        for day in range(1, days + 1):
            assert len(of_store.find(f"raw/2026-02-{day:02}/").found) == 1
        assert set(proxy.counts()) == {"LIST"}
        return proxy.counts()["LIST"]

    assert asked(28) == 1
    monkeypatch.setattr(listing, "WHOLE_OBJECTS", 10)
    assert asked(3) == 4
    monkeypatch.setattr(listing, "FOLDERS_ONE_BY_ONE", 5)
    assert asked(28) == 7, "the first ones, five folders, and the whole tree"
