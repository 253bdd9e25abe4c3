"""A table whose days are one of each state, made by the steps of a run and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from tests.support.chain import Chain

TABLE = "visits"
QUERY = """
select day, visitors::int as visitors
from read_csv(getvariable('visit_files'), header = true, columns = {'day': 'date', 'visitors': 'varchar'},
    auto_detect = false)
"""
CHECKS = "create view visitors_are_counted as select day from new where visitors < 0;\n"
STATE_OF_DAY = {
    "2025-01-01": "fresh",
    "2025-01-02": "empty",
    "2025-01-03": "stale",
    "2025-01-04": "failed",
    "2025-01-05": "refused",
    "2025-01-06": "waiting",
    "2025-01-07": "missing",
    "2025-01-08": "fresh",
    "2025-01-09": "open",
}
"""What each of the days that ``lay_out`` leaves has to be."""


def deliver(chain: Chain, day: str, *visitors: object) -> Path:
    """Write the raw file of a day, which was at rest for long."""
    file = chain.settings.source / "visits" / f"{day}.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(["day,visitors\n", *(f"{day},{number}\n" for number in visitors)]))
    return file


def lay_out(home: Path) -> Chain:
    """The home of a chain with the table; its first nine days are as ``STATE_OF_DAY`` says."""
    return add_table(Chain.at(home))


def add_table(chain: Chain) -> Chain:
    """The chain with the table."""
    # What was written a moment ago is at rest.
    chain = replace(chain, settings=chain.settings.model_copy(update={"stable_seconds": 0.001}))
    (chain.settings.tables / "sources.toml").write_text('[visit_files]\nfiles = "visits/{day}.csv"\n')
    chain.define(TABLE, QUERY, 'on_empty = "publish"')
    (chain.settings.tables / TABLE / "checks.sql").write_text(CHECKS)
    for day in ("2025-01-01", "2025-01-03", "2025-01-08", "2025-01-09"):
        deliver(chain, day, 10, 20)
    deliver(chain, "2025-01-02")
    deliver(chain, "2025-01-04", "many")
    deliver(chain, "2025-01-05", -1)
    for day in ("2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04", "2025-01-05", "2025-01-06", "2025-01-08"):
        chain.ask(TABLE, day)
    chain.run(TABLE)
    deliver(chain, "2025-01-03", 10, 21)
    chain.ask(TABLE, "2025-01-09")
    return chain


def days() -> list[date]:
    """The days of ``STATE_OF_DAY``."""
    return [date.fromisoformat(day) for day in STATE_OF_DAY]
