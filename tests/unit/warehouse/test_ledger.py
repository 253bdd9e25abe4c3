"""The ledger: what it says comes back as it was said, and one that says nothing costs a rewrite and no more."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import OperatorError
from reloads.planning.selection import FRESH
from reloads.planning.staleness import UNKNOWN
from reloads.settings import Settings
from reloads.warehouse.fingerprint import identity
from reloads.warehouse.ledger import Entry, Ledger, read_ledger, table_lock, write_ledger
from reloads.warehouse.partition_name import PartitionName, SliceName
from tests.support.chain import Chain, changed

TEXTS = st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.dictionaries(st.sampled_from(["k1", "k2", "k3"]), TEXTS, max_size=3)
NAMES = st.builds(PartitionName.of, st.just("day"), st.dates(), VALUES)
SLICES = st.builds(
    SliceName, st.builds(PartitionName, st.just("day"), st.dates()), st.integers(0, 63), st.integers(1, 64)
)
LEDGER_NAMES = NAMES | SLICES
ENTRIES = st.builds(
    Entry,
    version=TEXTS,
    inputs=st.dictionaries(TEXTS, TEXTS, max_size=3),
    checked_at=TEXTS,
    rows=st.integers(min_value=0),
    parameters=st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=2), max_size=3),
    run=TEXTS,
    file=TEXTS,
)
LEDGERS = st.builds(
    Ledger,
    entries=st.dictionaries(LEDGER_NAMES, ENTRIES, max_size=3),
    columns=st.dictionaries(TEXTS, TEXTS, max_size=3),
    keys=st.dictionaries(TEXTS, TEXTS, max_size=3),
    schema_backfill=TEXTS,
)
DAY = PartitionName("day", date(2025, 1, 1))
ENTRY = Entry("v1", {"a": "d1"}, "2025-01-31T12:00:00+00:00", rows=3, parameters={"factor": 2}, run="r", file="1-2")
LEDGER = Ledger({DAY: ENTRY}, {"amount": "INTEGER"}, {"shop": "VARCHAR"}, "v1/7")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    (tmp_path / ".ledger").mkdir()
    return tmp_path


def path_of(warehouse: Path, table: str = "a") -> Path:
    return warehouse / ".ledger" / f"{table}.json"


# what it says


@given(ledger=LEDGERS)
def test_what_was_written_is_read(ledger: Ledger) -> None:
    with TemporaryDirectory() as folder:
        path_of(Path(folder)).parent.mkdir()
        write_ledger(Path(folder), "a", ledger)
        assert read_ledger(Path(folder), "a") == ledger


def test_each_table_has_a_ledger_of_its_own(warehouse: Path) -> None:
    write_ledger(warehouse, "a", LEDGER)
    write_ledger(warehouse, "b", Ledger(schema_backfill="v2/8"))
    assert (read_ledger(warehouse, "a"), read_ledger(warehouse, "b")) == (LEDGER, Ledger(schema_backfill="v2/8"))


def test_a_table_that_was_never_published_has_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path, "a") == Ledger()
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_cannot_be_written_stays_as_it_was(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_ledger(warehouse, "a", LEDGER)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OperatorError, match=r"a\.json cannot be written \(No space left on device\); make room"):
            write_ledger(warehouse, "a", Ledger())
    assert read_ledger(warehouse, "a") == LEDGER
    assert [path.name for path in (warehouse / ".ledger").iterdir()] == ["a.json"]


# one that says nothing


def without(name: str) -> str:
    fields = json.loads(WHOLE)
    del fields[name]
    return json.dumps(fields)


def with_entry(**fields: object) -> str:
    spoilt = json.loads(WHOLE)
    spoilt["entries"][str(DAY)] |= fields
    return json.dumps(spoilt)


WHOLE = json.dumps(
    {"entries": {str(DAY): {"version": "v1", "inputs": {}, "checked_at": "", "file": "1-2"}}, "columns": {}, "keys": {}}
)
SPOILT = [
    pytest.param("", id="empty"),
    pytest.param(WHOLE[:-9], id="cut off"),
    pytest.param("\0" * 64, id="zeros, as after a power cut"),
    pytest.param("null", id="null"),
    pytest.param("[]", id="a list"),
    pytest.param("{}", id="nothing in it"),
    pytest.param('{"entries": [], "columns": {}, "keys": {}}', id="entries are a list"),
    pytest.param('{"entries": {"day=2025-01-01": 5}, "columns": {}, "keys": {}}', id="an entry is a number"),
    pytest.param('{"entries": {"today": {}}, "columns": {}, "keys": {}}', id="an entry of no partition"),
    pytest.param('{"entries": {}, "columns": 5, "keys": {}}', id="columns are a number"),
    pytest.param('{"entries": {}, "columns": "ab", "keys": {}}', id="columns are a text"),
    pytest.param(without("columns"), id="no columns"),
    pytest.param(without("keys"), id="no keys"),
    pytest.param(with_entry(colour="red"), id="an entry of a later release"),
]


def test_one_of_an_earlier_release_without_a_backfill_is_read(warehouse: Path) -> None:
    path_of(warehouse).write_text(WHOLE)
    assert read_ledger(warehouse, "a") == Ledger({DAY: Entry("v1", {}, "", file="1-2")})


@pytest.mark.parametrize("text", SPOILT)
def test_a_spoilt_one_reads_as_empty(warehouse: Path, text: str) -> None:
    path_of(warehouse).write_text(text)
    assert read_ledger(warehouse, "a") == Ledger()


def test_one_that_is_no_text_reads_as_empty(warehouse: Path) -> None:
    path_of(warehouse).write_bytes(b"\xff\xfe\x80")
    assert read_ledger(warehouse, "a") == Ledger()


def test_one_that_cannot_be_read_is_the_operators_to_mend(warehouse: Path) -> None:
    # It may be whole, so nothing is rewritten because of it.
    path_of(warehouse).mkdir()
    with pytest.raises(OperatorError, match=r"a\.json cannot be read \(Is a directory\); grant access to it"):
        read_ledger(warehouse, "a")


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """Three days of ``a`` and ``b``."""
    for table in "ab":
        chain.ask(table, "2025-01-01", "2025-01-03", cascade=False)
    chain.work_off("a", "b")
    return chain


@pytest.mark.parametrize(
    "text",
    [pytest.param(None, id="missing"), pytest.param("{", id="cut off"), pytest.param(WHOLE, id="of another file")],
)
def test_a_lost_ledger_costs_a_rewrite_and_nothing_else(loaded: Chain, text: str | None) -> None:
    before, known = loaded.files(), read_ledger(loaded.settings.warehouse, "b")
    path = path_of(loaded.settings.warehouse, "b")
    path.unlink()
    if text is not None:
        path.write_text(text)
    asked = loaded.ask("b", "2025-01-01", "2025-01-05", only="stale")
    assert loaded.work_off("b") == []
    state, record = loaded.find_record(asked.id)
    assert state == "done"
    assert [(str(reason.days), reason.why) for reason in record.planned] == [("2025-01-01..2025-01-03", UNKNOWN)]
    assert record.unchanged.texts() == ["2025-01-01..2025-01-03"]
    assert changed(before, loaded.files()) == []
    now = read_ledger(loaded.settings.warehouse, "b")
    assert (now.columns, now.keys) == (known.columns, known.keys)
    assert {n: (e.version, e.inputs, e.rows, e.file) for n, e in now.entries.items()} == {
        n: (e.version, e.inputs, e.rows, e.file) for n, e in known.entries.items()
    }


def test_after_that_rewrite_nothing_is_stale(loaded: Chain) -> None:
    path_of(loaded.settings.warehouse, "b").write_text("{}")
    loaded.ask("b", "2025-01-01", "2025-01-03", only="stale")
    loaded.work_off("b")
    again = loaded.ask("b", "2025-01-01", "2025-01-03", only="stale")
    assert loaded.plan("b") == []
    assert [reason.why for reason in loaded.find_record(again.id)[1].skipped] == [FRESH]


@pytest.mark.parametrize(
    "text",
    [pytest.param(with_entry(inputs=None), id="null"), pytest.param(with_entry(inputs=[]), id="a list")],
)
def test_an_entry_of_other_types_reads_as_none(loaded: Chain, text: str) -> None:
    # With the version and the file that it would have if somebody had mended the rest by hand.
    path = path_of(loaded.settings.warehouse, "b")
    spoilt, whole = json.loads(text), json.loads(path.read_text())
    whole["entries"][str(DAY)]["inputs"] = spoilt["entries"][str(DAY)]["inputs"]
    path.write_text(json.dumps(whole))
    asked = loaded.ask("b", "2025-01-01", only="stale")
    loaded.work_off("b")
    assert loaded.find_record(asked.id)[0] == "done"


def test_a_table_without_a_ledger_is_read_by_others_as_before(loaded: Chain) -> None:
    before = loaded.files()
    path_of(loaded.settings.warehouse, "a").unlink()
    asked = loaded.ask("b", "2025-01-01", "2025-01-03", only="stale")
    loaded.work_off("b")
    assert [reason.why for reason in loaded.find_record(asked.id)[1].skipped] == [FRESH]
    assert changed(before, loaded.files()) == []


# the identity of a file


TIMES = st.sampled_from([0, 1, 2**60, 2**60 + 1])


@given(times=st.tuples(TIMES, TIMES), sizes=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_files_of_another_time_or_size_are_told_apart_and_others_are_not(
    times: tuple[int, int], sizes: tuple[int, int]
) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "data.parquet"
        found = []
        for time, size in zip(times, sizes, strict=True):
            file.write_bytes(b"x" * size)
            os.utime(file, ns=(0, time))
            found.append(identity(file))
        assert (found[0] == found[1]) == ((times[0], sizes[0]) == (times[1], sizes[1]))


def test_a_link_is_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.link(tmp_path / "file", tmp_path / "link")
    assert identity(tmp_path / "file") == identity(tmp_path / "link")


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        identity(tmp_path / "file")


# the lock

HOLDER = """
import sys
from pathlib import Path
from reloads.warehouse.ledger import table_lock

with table_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def is_free(warehouse: Path, table: str) -> bool:
    """Whether somebody else could take the lock now."""
    handle = os.open(path_of(warehouse, table).with_suffix(".lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@contextmanager
def held_by_another(warehouse: Path, table: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", HOLDER, str(warehouse), table]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_the_lock_of_another_process_excludes_us_and_ends_with_it_however_it_ends(warehouse: Path) -> None:
    with held_by_another(warehouse, "a") as process:
        assert not is_free(warehouse, "a")
        assert is_free(warehouse, "b"), "which is another table"
        process.kill()
        process.wait()
        assert is_free(warehouse, "a")
        with table_lock(warehouse, "a"):
            pass


def test_the_lock_is_given_back_at_the_end_and_after_an_error(warehouse: Path) -> None:
    with table_lock(warehouse, "a"):
        assert not is_free(warehouse, "a")
    assert is_free(warehouse, "a")
    with pytest.raises(ZeroDivisionError), table_lock(warehouse, "a"):
        raise ZeroDivisionError
    assert is_free(warehouse, "a")


def test_a_table_is_locked_before_it_has_a_warehouse(tmp_path: Path) -> None:
    with table_lock(tmp_path / "warehouse", "a"):
        assert not is_free(tmp_path / "warehouse", "a")


def test_a_lock_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path, sales_settings: Settings) -> None:
    assert sales_settings.warehouse == tmp_path / "warehouse"
    sales_settings.warehouse.touch()
    with pytest.raises(OperatorError, match=r"cannot be written \(.*\); make room or grant access"):
        table_lock(sales_settings.warehouse, "a").__enter__()
