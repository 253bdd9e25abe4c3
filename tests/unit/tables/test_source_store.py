"""Raw files in a bucket: a look finds those of a day and nothing else, knows one that changed, and asks little."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import count

import boto3
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.settings import Settings
from reloads.stores import listing
from reloads.tables.file_sources import FileSource
from reloads.tables.raw_files import DayFiles, RawFiles
from tests.support.raw_bucket import RawBucket
from tests.support.raw_trees import Tree, check_look, days_around, source_of, sources, table_of, trees
from tests.support.s3_proxy import Request, S3Proxy, no_fault
from tests.support.s3_server import BUCKET, KEY, SECRET, S3Server

DAY = date(2024, 2, 29)
FLIGHTS = "flights/{day}/flights.csv"
PARTS = "clicks/{day}/*.csv"


@pytest.fixture
def raw(s3: S3Server) -> RawBucket:
    assert s3.endpoint
    return RawBucket()


def look_at(raw: RawBucket) -> RawFiles:
    """A new look."""
    return RawFiles(raw.folder, stable_seconds=3600)


def look(raw: RawBucket, source: FileSource) -> DayFiles:
    """A new look at the day."""
    return look_at(raw).of_day(table_of(source), DAY)


@hypothesis.settings(max_examples=40)
@given(
    tree=trees(),
    read=st.lists(st.tuples(sources(), st.integers(1, 40)), max_size=3),
    days=st.lists(days_around, min_size=1, max_size=4),
    whole=st.sampled_from([1, 8, 8_000]),
    one_by_one=st.sampled_from([1, 4, 100]),
)
def test_a_look_at_the_days_finds_what_a_walk_of_the_whole_bucket_finds(
    s3: S3Server, tree: Tree, read: list[tuple[FileSource, int]], days: list[date], whole: int, one_by_one: int
) -> None:
    assert s3.endpoint
    raw = RawBucket()
    # The client of the tests cannot write a name of two lines.
    tree = Tree({path: size for path, size in tree.sizes.items() if "\n" not in path})
    for path, size in tree.sizes.items():
        raw.put(path, text="x" * size)
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(listing, "WHOLE_OBJECTS", whole)
        patches.setattr(listing, "FOLDERS_ONE_BY_ONE", one_by_one)
        check_look(tree, look_at(raw), read, days)


def test_a_file_is_as_it_was_until_its_bytes_are_others(raw: RawBucket) -> None:
    source = source_of(FLIGHTS)
    path = f"flights/{DAY}/flights.csv"
    raw.put(path)
    [first] = look(raw, source).files.values()
    raw.put(path)
    [again] = look(raw, source).files.values()
    assert first.is_same(again)
    raw.put(path, text="y")
    [changed] = look(raw, source).files.values()
    assert not first.is_same(changed)
    assert look(raw, source).missing == "", "an object comes whole, so nobody waits until it has rested"


def test_files_known_by_their_content_are_read_once_for_each_that_is_another(raw: RawBucket, proxy: S3Proxy) -> None:
    source = source_of(FLIGHTS, compare="content")
    path = f"flights/{DAY}/flights.csv"
    raw.put(path)
    hashes = {file.content for _ in range(3) for file in look(raw, source).files.values()}
    raw.put(path, text="y")
    hashes |= {file.content for _ in range(3) for file in look(raw, source).files.values()}
    assert len(hashes) == 2
    assert proxy.counts()["GET"] == 2


def test_a_place_where_nothing_lies_says_nothing_of_what_was_removed(raw: RawBucket) -> None:
    raw.put("other.csv")
    found = look(raw, source_of(FLIGHTS))
    assert found.is_unknown
    assert found.missing == f"nothing lies below {raw.url}/flights; see that this is the place, or put its files there"
    raw.put("flights/readme")
    found = look(raw, source_of(FLIGHTS))
    assert not found.is_unknown
    assert found.missing == f"flights/{DAY}/flights.csv is not there"


def test_a_store_that_refuses_is_a_sentence_and_nothing_was_removed(raw: RawBucket, proxy: S3Proxy) -> None:
    raw.put(f"flights/{DAY}/flights.csv")
    proxy.fault = lambda request: 403 if request.act == "LIST" else None
    found = look(raw, source_of(FLIGHTS))
    assert found.is_unknown
    assert found.missing.startswith(f"{raw.url} refuses access")
    assert "\n" not in found.missing


def test_a_name_that_nobody_can_ask_for_is_a_sentence(raw: RawBucket, s3: S3Server) -> None:
    raw.put("flights/readme")
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=s3.endpoint, **keys)
    client.put_object(Bucket=BUCKET, Key=raw.url.removeprefix(f"s3://{BUCKET}/") + "/flights/a\nb.csv", Body=b"")
    found = look(raw, source_of(FLIGHTS))
    assert found.is_unknown
    assert re.fullmatch(rf"{raw.url} holds an object whose name cannot be read \(.*\); rename it", found.missing)


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("whole", [1, 8_000])
def test_of_a_day_whose_marker_is_seen_all_files_are_seen_whenever_it_came(
    raw: RawBucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch, at: int, whole: int
) -> None:
    """A sender writes its files and then its marker, before one of the requests of a look or after all of them."""
    monkeypatch.setattr(listing, "WHOLE_OBJECTS", whole)
    raw.put("clicks/readme", f"clicks/{DAY}/a.csv", "ready/readme")
    requests = count()

    def send_before(request: Request) -> None:
        if request.act == "LIST" and next(requests) == at:
            proxy.fault = no_fault
            raw.put(f"clicks/{DAY}/b.csv", f"ready/{DAY}")

    proxy.fault = send_before
    files = look_at(raw)
    # Another source, which needs no marker, has looked at the same folder before.
    assert files.of_source(source_of(PARTS), DAY).files
    found = files.of_source(source_of(PARTS, marker="ready/{day}"), DAY)
    assert found.missing or sorted(found.files) == [f"clicks/{DAY}/a.csv", f"clicks/{DAY}/b.csv"]


def test_a_year_of_days_is_asked_for_with_few_requests(raw: RawBucket, proxy: S3Proxy) -> None:
    days = Days.between(date(2023, 1, 1), date(2023, 12, 31))
    for day in days:
        raw.put(f"flights/{day}/flights.csv", f"flights/{day}/DONE")
    for settings_of_source, requests in (({}, 1), ({"marker": "flights/{day}/DONE"}, 2)):
        table = table_of(source_of(FLIGHTS, **settings_of_source))
        proxy.requests.clear()
        files = look_at(raw)
        for day in days:
            assert files.of_day(table, day).missing == ""
        assert proxy.counts() == {"LIST": requests}


def test_of_a_large_source_a_sample_is_one_of_the_last_days_and_else_the_last_of_all(
    raw: RawBucket, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "WHOLE_OBJECTS", 2)
    source = source_of(FLIGHTS)
    today = datetime.now(UTC).date()
    for day in Days.between(date(2023, 1, 1), date(2023, 1, 20)):
        raw.put(f"flights/{day}/flights.csv")
    assert look_at(raw).find_sample(source) == f"{raw.url}/flights/2023-01-20/flights.csv"
    recent = f"flights/{today - timedelta(days=3)}/flights.csv"
    raw.put(recent)
    proxy.requests.clear()
    assert look_at(raw).find_sample(source) == f"{raw.url}/{recent}"
    assert proxy.counts()["LIST"] <= 6


def test_a_look_to_show_asks_once_for_a_while_and_one_to_plan_by_asks_each_time(raw: RawBucket, proxy: S3Proxy) -> None:
    source = source_of(FLIGHTS)
    path = f"flights/{DAY}/flights.csv"
    raw.put("flights/readme")
    settings = Settings.from_environment({}).model_copy(update={"source": raw.folder, "rescan_seconds": 3600.0})

    def is_there(raw_files: RawFiles) -> bool:
        return path in raw_files.of_source(source, DAY).files

    assert not is_there(RawFiles.look_to_show(settings))
    raw.put(path)
    proxy.requests.clear()
    assert not is_there(RawFiles.look_to_show(settings))
    assert proxy.counts() == {}
    assert is_there(RawFiles.look(settings))
    assert is_there(RawFiles.look_to_show(settings.model_copy(update={"rescan_seconds": 0.0})))
    assert is_there(RawFiles.look_to_show(settings))
