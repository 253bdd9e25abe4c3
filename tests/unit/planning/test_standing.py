"""Standing: each open request says why it is not done, by the rule by which a run chooses."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.inspection.open_requests import list_open_requests
from reloads.names import Names
from reloads.outcome import Failure, Outcome
from reloads.planning.runnable_requests import runnable_records
from reloads.planning.selection import find_waiting
from reloads.planning.standing import Standing, describe_ended, find_standings
from reloads.requests.paused_tables import note_paused
from reloads.requests.record import Mode, Progress, Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.raw_files import RawFiles
from tests.support.chain import NOW, Chain

FOUR_DAYS = ("2025-01-01", "2025-01-04")
FILES = "select * from read_csv(getvariable('day_files'), columns = {'day': 'date', 'amount': 'int'})"


def standings(chain: Chain, paused: Collection[str] | None = ()) -> dict[str, Standing]:
    return {record.id: standing for record, standing in list_open_requests(chain.settings, now=NOW, paused=paused)}


def test_a_request_that_the_next_run_takes_waits_for_its_turn(chain: Chain) -> None:
    record = chain.ask("a", *FOUR_DAYS)
    sentence = "it waits for its turn: the next run of rewrite_a takes it"
    assert standings(chain) == {record.id: Standing("queued", sentence)}


def test_a_request_that_waits_for_an_input_names_its_request(chain: Chain) -> None:
    awaited = chain.ask("a", *FOUR_DAYS)
    waiting = chain.ask("b", "2025-01-02", mode="cascade")
    sentence = f"it waits for the request {awaited.id} for a"
    assert standings(chain)[waiting.id] == Standing("waiting_for_input", sentence)
    told = standings(chain, paused={"a"})[waiting.id].sentence
    assert told == f"{sentence}, whose DAG rewrite_a is paused; unpause it"


def test_of_several_requests_for_an_input_the_one_that_is_waited_for_is_named(chain: Chain) -> None:
    chain.ask("a", "2025-01-20")
    awaited = chain.ask("a", *FOUR_DAYS)
    waiting = chain.ask("b", "2025-01-02", mode="cascade")
    assert standings(chain)[waiting.id].sentence == f"it waits for the request {awaited.id} for a"


def test_a_request_of_which_a_day_can_be_rewritten_does_not_wait_for_an_input(chain: Chain) -> None:
    chain.ask("a", *FOUR_DAYS)
    partly = chain.ask("b", "2025-01-04", "2025-01-05", mode="cascade")
    assert standings(chain)[partly.id].kind == "queued"


def test_a_request_behind_one_that_waits_names_that_one(chain: Chain) -> None:
    chain.define(
        "b",
        "select day, amount * getvariable('factor') as n from a",
        "[parameters.factor]\ntype = 'integer'\ndefault = 1",
    )
    chain.ask("a", *FOUR_DAYS, file="both.json")
    first = chain.ask("b", *FOUR_DAYS, file="both.json", parameters={"factor": 1})
    second = chain.ask("b", *FOUR_DAYS, parameters={"factor": 2})
    sentence = f"it waits behind {first.id}, which sets other parameters for b and waits itself"
    assert standings(chain)[second.id] == Standing("waiting_for_input", sentence)


@pytest.fixture
def files(chain: Chain) -> Chain:
    """The table a reads a file a day, of which that of the tenth is not there."""
    chain = Chain(chain.settings.model_copy(update={"stable_seconds": 1e-9}), chain.queue)
    (chain.settings.tables / "sources.toml").write_text('[day_files]\nfiles = "{day}.csv"\n')
    chain.define("a", FILES)
    (chain.settings.source / "2025-01-10.csv").unlink()
    return chain


def test_a_request_that_waits_for_a_raw_file_names_it(files: Chain) -> None:
    record = files.ask("a", "2025-01-09", "2025-01-10", cascade=False)
    files.run("a")
    sentence = "2025-01-10: it waits for raw files: 2025-01-10.csv is not there"
    assert standings(files) == {record.id: Standing("waiting_for_file", sentence)}
    files.deliver("2025-01-10", 1)
    assert standings(files)[record.id].kind == "queued"


def test_a_request_that_waits_for_several_files_names_the_first_and_the_other_days(files: Chain) -> None:
    (files.settings.source / "2025-01-12.csv").unlink()
    record = files.ask("a", "2025-01-10", "2025-01-12", exclude_dates=["2025-01-11"])
    files.run("a")
    sentence = "2025-01-10: it waits for raw files: 2025-01-10.csv is not there; 2025-01-12 wait for other files"
    assert standings(files) == {record.id: Standing("waiting_for_file", sentence)}


def test_a_request_of_a_paused_table_says_what_to_do(files: Chain) -> None:
    waiting_for_file = files.ask("a", "2025-01-10")
    files.run("a")
    queued = files.ask("b", "2025-01-01")
    told = standings(files, paused={"a", "b"})
    assert told[queued.id] == Standing("paused", "the DAG rewrite_b is paused; unpause it")
    assert told[waiting_for_file.id].kind == "paused"


def test_who_does_not_ask_airflow_takes_its_last_note(chain: Chain) -> None:
    record = chain.ask("a", *FOUR_DAYS)
    note_paused(chain.settings.landing, {"a"}, now=NOW)
    assert standings(chain, paused=None)[record.id].kind == "paused"


def test_a_request_whose_table_is_broken_or_gone_says_so(chain: Chain) -> None:
    broken, gone, fed = chain.ask("a", *FOUR_DAYS), chain.ask("d", *FOUR_DAYS), chain.ask("b", *FOUR_DAYS)
    (chain.settings.tables / "a" / "query.sql").write_text("selec")
    (chain.settings.tables / "d").rename(chain.settings.home / "d")
    told = standings(chain)
    assert told[broken.id].sentence.startswith("the table a is broken (")
    assert "does not parse" in told[broken.id].sentence
    assert told[gone.id].sentence == "the table d is not there any more; put its folder back, or the request fails"
    assert told[fed.id].sentence == "the table b cannot be loaded; mend what it reads"
    assert {standing.kind for standing in told.values()} == {"queued"}


def test_a_request_that_a_batch_works_at_runs_and_the_next_one_comes_after_it(chain: Chain) -> None:
    first, second = chain.ask("a", *FOUR_DAYS), chain.ask("a", "2025-01-20")
    progress = Progress(days=4, staged=1, rows=2000, step="reading", percent=40, run="run/1", at=NOW)
    records = [first.model_copy(update={"progress": progress}), second]
    catalog, raw = Catalog.load(chain.settings.tables), RawFiles.look(chain.settings)
    told = find_standings(records, catalog=catalog, raw=raw, names=Names(), paused={"a"})
    assert told[first.id] == Standing("running", "1 of 4 days staged, 2,000 rows; reading, 40 % read, by run/1")
    assert told[second.id].kind == "paused"


def test_a_request_that_ended_says_how(chain: Chain) -> None:
    done, failed, cancelled = (chain.ask("a", *FOUR_DAYS) for _ in range(3))
    days = Days.parse(["2025-01-01..2025-01-04"])
    chain.queue.settle(done.id, Outcome(published=days), run="run", now=NOW)
    chain.queue.settle(failed.id, Outcome(failed=(Failure(days=days, error="bad row"),)), run="run", now=NOW)
    chain.queue.cancel(cancelled.id, now=NOW)
    told = [describe_ended(chain.find_record(record.id)[1]) for record in (done, failed, cancelled)]
    assert told == [
        Standing("done", "4 of 4 days were published"),
        Standing("failed", "4 of 4 days failed: bad row"),
        Standing("cancelled", "4 of 4 days were given up"),
    ]


ASKS = st.tuples(
    st.sampled_from("abcd"), st.integers(1, 9), st.integers(0, 3), st.sampled_from(["cascade", "landing", "daily"])
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Chain.at(tmp_path_factory.mktemp("chain")).settings


@given(st.lists(ASKS, max_size=8))
def test_a_request_is_queued_if_and_only_if_a_run_would_take_it(
    settings: Settings, asks: list[tuple[str, int, int, Mode]]
) -> None:
    catalog, raw = Catalog.load(settings.tables), RawFiles.look(settings)
    records: list[Record] = []
    for number, (table, first, length, mode) in enumerate(asks):
        days = Days.parse([f"2025-01-{first:02}..2025-01-{first + length:02}"])
        records.append(Record(id=f"r{number}", mode=mode, table=table, days=days, accepted_at=NOW, file="f.json"))
    runnable = runnable_records(records, everything=records, lineage=catalog.lineage)
    told = find_standings(records, catalog=catalog, raw=raw, names=Names())
    assert find_waiting(records, catalog, raw=raw) == {}
    assert {name for name, standing in told.items() if standing.kind == "queued"} == {each.id for each in runnable}
    by_id = {record.id: record for record in records}
    for name, standing in told.items():
        if standing.kind == "waiting_for_input":
            awaited = by_id[standing.sentence.split()[5]]
            affected = catalog.lineage.downstream_days(awaited.table, awaited.days)
            assert affected[by_id[name].table] & by_id[name].days
