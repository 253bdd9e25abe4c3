"""A year of files that arrive in a random order, with all that goes wrong with files: it ends complete."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from reloads.days import Days
from reloads.rewriting import rewrite, validation
from tests.unit.whole.file_home import FileHome, wait_for_clock
from tests.unit.whole.small_home import Json

YEAR = [str(day) for day in Days.between(date(2024, 1, 1), date(2024, 12, 30))]
FILES_AT_ONCE = 40
FAULTS_OF_A_KIND = 3
"""So many of each with every wave of files."""
SHARE_OF_KILLED_TASKS = 0.3


class Senders:
    """Who deliver a file for each day, in any order, and make mistakes."""

    def __init__(self, home: FileHome, random: Random) -> None:
        self._home, self._random = home, random
        self.values: dict[str, int] = {}
        """What the files say that are there and in order."""
        self.changes: Counter[str] = Counter()
        """How often the file of each day was written, or came back."""
        self._spoiled: list[str] = []
        self._removed: list[str] = []

    def deliver(self, day: str) -> None:
        self.values[day] = self._random.randrange(1000)
        self._write(day, str(self.values[day]))

    def make_mistakes(self) -> None:
        """Correct some files, write some again as they were, spoil some, and take some away."""
        for day in self._some():
            self.deliver(day)
        for day in self._some():
            self._write(day, str(self.values[day]))
        for day in self._some():
            self._write(day, "nonsense")
            self._spoiled.append(day)
        for day in self._some():
            if day not in self._spoiled:
                self._path(day).rename(self._path(day).with_suffix(".away"))
                self._removed.append(day)

    def mend(self) -> None:
        """Put in order what was wrong."""
        for day in self._removed:
            self._path(day).with_suffix(".away").rename(self._path(day))
            self.changes[day] += 1
        for day in self._spoiled:
            self._write(day, str(self.values[day]))
        self._removed, self._spoiled = [], []

    def _some(self) -> list[str]:
        days = [day for day in self.values if day not in self._removed]
        return self._random.sample(days, min(FAULTS_OF_A_KIND, len(days)))

    def _write(self, day: str, value: str) -> None:
        self._path(day).parent.mkdir(exist_ok=True)
        self._path(day).write_text(f"day,k,v\n{day},a,{value}\n")
        wait_for_clock(self._path(day))
        self.changes[day] += 1

    def _path(self, day: str) -> Path:
        return self._home.settings.source / f"sales/{day}.csv"


class FaultyHome(FileHome):
    """A home whose tasks are killed now and then and tried again, and whose files change while they are read."""

    def __init__(self, home: Path, random: Random) -> None:
        super().__init__(home)
        self._random, self._now = random, datetime(2024, 12, 31, 12, tzinfo=UTC)
        self.senders = Senders(self, random)
        self.killed: dict[str, Counter[str]] = {"sales": Counter(), "totals": Counter()}
        """How often a task of a table's day was killed, perhaps behind its commit; the next try makes one more."""

    def rewrite(self, table: str, batch: Json, run: str = "run/1") -> Json:
        task = partial(super().rewrite, table, batch, run)
        if self._random.random() < SHARE_OF_KILLED_TASKS:
            self.is_killed(task, after=self._random.randrange(200))
            self.killed[table].update(map(str, Days.parse(batch["days"])))
        if table != "sales":
            return task()
        with patch.object(rewrite, "validate_rows", self._correct_one_and_go_on(batch)):
            return task()

    def _correct_one_and_go_on(self, batch: Json) -> Any:
        validate_rows, days = validation.validate_rows, [str(self._random.choice(list(Days.parse(batch["days"]))))]

        def act(*arguments: Any, **options: Any) -> Any:
            while days:
                self.senders.deliver(days.pop())
            return validate_rows(*arguments, **options)

        return act


@pytest.mark.parametrize("seed", [1])
def test_a_year_that_arrives_in_any_order_and_with_faults_ends_complete_and_without_waste(
    tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    home = FaultyHome(tmp_path, random)
    home.define("sales", "select day, k, v from raw_sales", "on_arrival = true\narrival_days = 400")
    home.define("totals", "select day, sum(v)::bigint as v from sales group by day")
    order = random.sample(YEAR, len(YEAR))
    while order:
        arrived, order = order[:FILES_AT_ONCE], order[FILES_AT_ONCE:]
        home.senders.mend()
        for day in arrived:
            home.senders.deliver(day)
        home.senders.make_mistakes()
        home.look_and_work()
    home.senders.mend()
    home.look_and_work()
    expected = sorted(home.senders.values.items())
    assert len(expected) == len(YEAR)
    assert home.rows("sales", "day::varchar, v") == expected
    assert home.rows("totals", "day::varchar, v") == expected
    for table in ("sales", "totals"):
        wasted = home.commits_by_day(table) - home.senders.changes - home.killed[table]
        assert not wasted, f"{table} was rewritten more often than its files changed: {wasted}"
    assert home.killed["sales"]
    assert not home.look()
    assert not home.queue.records("accepted")
