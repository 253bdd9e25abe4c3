"""Verification of a whole warehouse: what is sound is silent, and each harm is named and mended, or its cure is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from reloads.errors import RequestError
from reloads.inspection.verify import Finding, verify
from reloads.runs.undo import undo_request
from reloads.warehouse.layout import state_folder, versions_folder
from tests.support.chain import NOW, Chain

DAY = "2025-01-02"
Harm = Callable[[Chain], None]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """A chain with three days in each table, one of them corrected, undone and confirmed."""
    shops = "select day, shop, twice + week as both from b join c using (day), (values ('n'), ('s')) as s(shop)"
    chain.define("d", shops, 'keys = ["shop"]')
    for table in "abcd":
        chain.ask(table, "2025-01-01", "2025-01-03", cascade=False)
    chain.work_off(*"abcd")
    chain.deliver(DAY, 1000)
    corrected = chain.ask("a", DAY)
    chain.work_off("a")
    undo_request(chain.settings, corrected.id, force=False, now=NOW)
    chain.ask("b", DAY)
    chain.work_off("b")
    return chain


def current_file(chain: Chain) -> Path:
    return chain.settings.warehouse / "c" / f"day={DAY}" / "data.parquet"


def lose_rows(chain: Chain) -> None:
    content = current_file(chain).read_bytes()
    current_file(chain).write_bytes(content[:8] + bytes(8) + content[16:-8] + bytes(8))


def lose_state(chain: Chain) -> None:
    for piece in state_folder(chain.settings.warehouse, "c").glob("2025-*.json"):
        piece.unlink()


def lose_version(chain: Chain) -> None:
    shutil.rmtree(versions_folder(chain.settings.warehouse, "c") / f"day={DAY}")


def lose_partition(chain: Chain) -> None:
    current_file(chain).unlink()


def make_elsewhere(chain: Chain) -> None:
    footer = "kv_metadata {'reloads.run': 'x'}"
    file, other = current_file(chain), current_file(chain).with_name("other.parquet")
    with duckdb.connect(":memory:") as db:
        db.execute(f"copy (from '{file}') to '{other}' (format parquet, {footer})")
    content, size = other.read_bytes(), file.stat().st_size
    other.unlink()
    assert len(content) <= size
    data, tail = content[:-8], content[-8:]
    length = int.from_bytes(tail[:4], "little")
    # Padding between rows and footer makes it as long as it was.
    padded = data[: len(data) - length] + bytes(size - len(content)) + data[len(data) - length :] + tail
    file.write_bytes(padded)


def test_what_is_sound_is_silent(loaded: Chain) -> None:
    assert list(verify(loaded.settings)) == []


@pytest.mark.parametrize("harm", [lose_state, lose_version, lose_partition])
def test_what_follows_from_the_rest_is_named_and_mended_on_demand(loaded: Chain, harm: Harm) -> None:
    harm(loaded)
    [found] = verify(loaded.settings)
    assert (found.table, found.is_mended) == ("c", False)
    assert found.sentence.endswith("again with --repair")
    [mended] = verify(loaded.settings, "c", is_repairing=True)
    assert mended == Finding("c", found.sentence.split("; ")[0], is_mended=True)
    assert list(verify(loaded.settings)) == []


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [(lose_rows, "cannot be read as Parquet; reload"), (make_elsewhere, "was made by x, by its footer, and by run")],
)
def test_a_footer_that_says_something_else_than_the_log_is_named_with_the_cure(
    loaded: Chain, harm: Harm, sentence: str
) -> None:
    harm(loaded)
    for is_repairing in (False, True):
        [found] = verify(loaded.settings, is_repairing=is_repairing)
        assert (found.table, found.is_mended) == ("c", False)
        assert sentence in found.sentence
        assert found.sentence.endswith(f"reload day={DAY}")


def test_one_table_is_looked_at_if_it_is_named_and_an_unknown_one_is_an_error(loaded: Chain) -> None:
    lose_partition(loaded)
    assert list(verify(loaded.settings, "a")) == []
    with pytest.raises(RequestError, match="unknown"):
        list(verify(loaded.settings, "unknown"))
