"""The list of all tables over the life of several servers: a new one begins with what the last one had looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.airflow.page.kept_overview import KeptOverview, kept_overview
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    return chain


def known_tables(kept: KeptOverview, chain: Chain) -> set[str]:
    """The tables of which an answer that waits for nothing has something to say."""
    summaries = kept.overview.summarize(Catalog.load(chain.settings.tables), now=NOW, patience=0)
    return {name for name, summary in summaries.items() if summary}


def test_what_one_server_looked_at_the_next_one_knows_at_once(chain: Chain) -> None:
    first = KeptOverview(chain.settings)
    assert known_tables(first, chain) == set()
    first.keep(Catalog.load(chain.settings.tables), now=NOW)
    assert known_tables(first, chain) == set("abcd") == known_tables(KeptOverview(chain.settings), chain)


def test_it_is_written_when_something_new_was_looked_at_and_not_else(chain: Chain) -> None:
    kept, file = KeptOverview(chain.settings), chain.settings.landing / ".page" / "overview.json"
    catalog = Catalog.load(chain.settings.tables)
    kept.keep(catalog, now=NOW)
    before = file.stat().st_ino
    kept.keep(catalog, now=NOW)
    assert file.stat().st_ino == before
    chain.ask("a", "2025-01-01")
    chain.deliver("2025-01-01", 5)
    chain.run("a")
    kept.keep(catalog, now=NOW)
    assert file.stat().st_ino != before


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff"])
def test_a_file_that_is_not_whole_is_as_if_there_were_none(chain: Chain, content: bytes) -> None:
    (chain.settings.landing / ".page").mkdir()
    (chain.settings.landing / ".page" / "overview.json").write_bytes(content)
    kept = KeptOverview(chain.settings)
    kept.keep(Catalog.load(chain.settings.tables), now=NOW)
    assert known_tables(kept, chain) == set("abcd")


def test_a_file_that_cannot_be_written_is_a_line_in_the_log(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    # A folder in which nobody can write, whoever the test runs as.
    (chain.settings.landing / ".page").symlink_to("/proc")
    kept = KeptOverview(chain.settings)
    kept.keep(Catalog.load(chain.settings.tables), now=NOW)
    assert "until then a server that is started anew looks at all days" in caplog.text
    assert known_tables(kept, chain) == set("abcd")


def test_answers_and_keeper_of_one_server_share_one(chain: Chain, tmp_path: Path) -> None:
    assert kept_overview(chain.settings) is kept_overview(chain.settings)
    other = Chain.at(tmp_path / "other")
    assert kept_overview(other.settings) is not kept_overview(chain.settings)
