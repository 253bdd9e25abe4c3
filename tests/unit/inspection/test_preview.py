"""What a request would do: told partition by partition, with nothing read but what is known, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reloads.inspection.preview import Preview, preview
from reloads.requests.request import parse_request
from tests.support.chain import NOW, Chain


def would(chain: Chain, table: str | list[str], first: str, last: str | None = None, **more: Any) -> Preview:
    request = parse_request({"table": table, "start_date": first, "end_date": last or first, **more})
    return preview(chain.settings, request, now=NOW)


def short(lines: Preview) -> list[str]:
    return [f"{'+' if line.is_planned else '-'} {line.table} {line.partition[4:]} {line.why}" for line in lines]


def tree(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything below the folder, with inode, times and content; access times too, where the system keeps them."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        entries[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content)
    return entries


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """January without its last two days."""
    for table in "abcd":
        chain.ask(table, "2025-01-01", "2025-01-29", cascade=False)
        chain.run(table)
    return chain


def test_each_partition_asked_for_is_named_with_its_reason(loaded: Chain) -> None:
    assert short(would(loaded, "d", "2025-01-28", "2025-01-30")) == [
        "+ d 2025-01-28 it was asked for",
        "+ d 2025-01-29 it was asked for",
        "+ d 2025-01-30 it was asked for",
    ]


@pytest.mark.parametrize(
    ("only", "lines"),
    [
        ("missing", ["- d 2025-01-29 it is there", "+ d 2025-01-30 it is missing"]),
        ("stale", ["- d 2025-01-29 it is up to date", "- d 2025-01-30 it was never loaded"]),
    ],
)
def test_what_is_not_needed_is_named_too(loaded: Chain, only: str, lines: list[str]) -> None:
    assert short(would(loaded, "d", "2025-01-29", "2025-01-30", only=only)) == lines


def test_the_readers_of_a_day_are_told_after_it(loaded: Chain) -> None:
    lines = short(would(loaded, "a", "2025-01-28"))
    assert lines[0] == "+ a 2025-01-28 it was asked for"
    assert sorted(lines[1:4]) == [
        "+ b 2025-01-28 a changes",
        "+ c 2025-01-28 a changes",
        "+ c 2025-01-29 a changes",
    ]
    assert lines[4:] == ["+ d 2025-01-28 b changes", "+ d 2025-01-29 c changes"]


def test_it_promises_what_then_happens(loaded: Chain) -> None:
    downstream_lines = {f"{line.table} {line.partition[4:]}" for line in would(loaded, "a", "2025-01-24", "2025-01-30")}
    for day in range(24, 31):
        loaded.deliver(f"2025-01-{day}", 1000)
    loaded.ask("a", "2025-01-24", "2025-01-30")
    before = loaded.files()
    loaded.work_off("a")
    assert downstream_lines == {name for name, file in loaded.files().items() if before.get(name) != file}


def test_days_that_are_skipped_carry_nothing_on(loaded: Chain) -> None:
    lines = short(would(loaded, "a", "2025-01-29", "2025-01-30", only="missing"))
    assert [line for line in lines if line[2] == "b"] == ["+ b 2025-01-30 a changes"]


def test_without_cascade_no_reader_is_told(loaded: Chain) -> None:
    assert {line.table for line in would(loaded, "a", "2025-01-10", cascade=False)} == {"a"}


def test_a_table_asked_for_with_its_input_is_told_once(loaded: Chain) -> None:
    lines = short(would(loaded, ["b", "a"], "2025-01-10"))
    assert [line for line in lines if line[2] in "ab"] == [
        "+ a 2025-01-10 it was asked for",
        "+ b 2025-01-10 it was asked for",
    ]


def test_rows_and_bytes_are_those_that_would_be_replaced(loaded: Chain) -> None:
    there, new = would(loaded, "a", "2025-01-29", "2025-01-30", cascade=False)
    size = (loaded.settings.warehouse / "a" / "day=2025-01-29" / "data.parquet").stat().st_size
    assert (there.rows, there.bytes) == (1, size)
    assert (new.rows, new.bytes) == (None, None)


def test_rows_of_a_file_that_somebody_else_put_there_are_not_known(loaded: Chain) -> None:
    file = loaded.settings.warehouse / "a" / "day=2025-01-29" / "data.parquet"
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    [line] = would(loaded, "a", "2025-01-29", cascade=False)
    assert line.rows is None
    assert line.bytes


def test_of_a_table_with_keys_each_partition_that_is_wanted_is_told(chain: Chain) -> None:
    chain.define("shops", "select day, shop, amount from raw, (values ('n'), ('s')) as s(shop)", "keys = ['shop']")
    chain.ask("shops", "2025-01-01")
    chain.run("shops")
    whole = would(chain, "shops", "2025-01-01", "2025-01-02")
    assert [line.partition for line in whole] == ["day=2025-01-01/shop=n", "day=2025-01-01/shop=s", "day=2025-01-02"]
    one_key = would(chain, "shops", "2025-01-01", keys={"shop": ["s"]})
    assert [line.partition for line in one_key] == ["day=2025-01-01/shop=s"]


@pytest.mark.parametrize("only", ["all", "missing", "stale"])
def test_it_reads_no_data_and_writes_nothing(loaded: Chain, only: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(loaded.settings.home)
    with monkeypatch.context() as patch:
        patch.setattr("duckdb.connect", None)
        assert would(loaded, ["a", "c"], "2025-01-20", "2025-01-31", only=only)
    assert tree(loaded.settings.home) == before


def test_before_anything_was_loaded_it_makes_no_folder(chain: Chain) -> None:
    before = tree(chain.settings.home)
    assert short(would(chain, "b", "2025-01-01"))[0] == "+ b 2025-01-01 it was asked for"
    assert tree(chain.settings.home) == before


def test_a_table_that_is_broken_and_not_concerned_is_no_hindrance(loaded: Chain) -> None:
    loaded.define("other", "select day, amount from raw")
    (loaded.settings.tables / "a" / "query.sql").write_text("selec")
    assert {line.table for line in would(loaded, "other", "2025-01-01")} == {"other"}
