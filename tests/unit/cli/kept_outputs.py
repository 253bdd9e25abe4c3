"""What every command prints, kept as files in ``outputs/``: in terminals of 80 and 160 columns, in a pipe, and as JSON.

Run as a program, it writes the files anew: ``make outputs``. Look at each that changed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from unittest.mock import patch
from zoneinfo import ZoneInfo

from reloads.cli.console import utc_now
from reloads.requests.acceptance import process_files
from reloads.requests.control import cancel_request
from reloads.requests.lookup import find_named
from reloads.requests.paused_tables import note_paused
from reloads.tables.catalog import Catalog
from tests.support import calendar_home
from tests.support.chain import NOW, Chain
from tests.support.command_line import Printed, call

FOLDER = Path(__file__).parent / "outputs"
ZONE = ZoneInfo("Asia/Kolkata")
"""The zone of the person who looks: one whose clocks do not change."""

FORMS: dict[str, int | None] = {"80": 80, "160": 160, "pipe": None, "json": None}
"""The forms, and how wide a terminal is."""

COMMANDS = {
    "help": ["--help"],
    "version": ["--version"],
    "wrong-command": ["statsu"],
    "wrong-option": ["status", "--verbose"],
    "check": ["check"],
    "check-file": ["check", "good.json"],
    "check-bad-file": ["check", "bad.json"],
    "plan": ["plan", "sales", "2025-01-01", "2025-01-25"],
    "plan-all": ["plan", "shops", "2025-01-02", "--all"],
    "plan-nothing": ["plan", "sales", "2025-01-01", "2025-01-05", "--only", "missing"],
    "plan-without-days": ["plan", "sales"],
    "plan-unknown-table": ["plan", "sale", "2025-01-01"],
    "request": ["request", "sales", "2025-01-03", "2025-01-04", "--reason", "late rows of two shops"],
    "request-file": ["request", "good.json"],
    "request-refused": ["request", "sales", "2025-01-04", "2025-01-03"],
    "request-wait-timeout": ["request", "sales", "2025-01-03", "--wait", "--timeout", "0s"],
    "run": ["run", "sales", "2025-01-06", "2025-01-07"],
    "run-failed": ["run", "visits", "2025-01-02", "2025-01-04"],
    "status": ["status"],
    "status-request": ["status", "march"],
    "status-failed": ["status", "visits-2"],
    "status-table": ["status", "sales"],
    "status-unknown": ["status", "nothing"],
    "status-ambiguous": ["status", "cascade"],
    "status-file": ["status", "untouched.json"],
    "status-rejected": ["status", "bad.json"],
    "status-visits": ["status", "visits"],
    "tables": ["tables"],
    "tables-one": ["tables", "shops"],
    "tables-lineage": ["tables", "--lineage"],
    "history": ["history", "sales", "2025-01-01"],
    "history-nothing": ["history", "visits"],
    "diff": ["diff", "visits", "2025-01-01"],
    "diff-by": ["diff", "visits", "2025-01-01", "--by", "day"],
    "diff-wrong": ["diff", "visits", "2025-01-01", "9"],
    "verify": ["verify"],
    "sql": ["sql", "from sales order by all limit 3"],
    "sql-vertical": ["sql", "from sales order by all limit 2", "--vertical"],
    "sql-csv": ["sql", "select day, shop, amount from shops order by all limit 3", "--csv"],
    "sql-readme": ["sql", "select partition, rows from partitions where rows < 2 order by all limit 3"],
    "sql-wrong": ["sql", "from sale"],
    "logs": ["logs", "march"],
    "logs-missing": ["logs", "cascade-shops"],
    "cancel": ["cancel", "queued"],
    "retry": ["retry", "given-up"],
    "undo": ["undo", "march"],
    "doctor": ["doctor"],
    "init": ["init", "project"],
    "init-table": ["init", "--table", "visitors"],
    "rename": ["rename", "week", "weekly"],
    "rename-refused": ["rename", "sales", "receipts"],
    "drop": ["drop", "week", "--yes"],
    "drop-unasked": ["drop", "week"],
    "undo-dry-run": ["undo", "march", "--dry-run"],
}
"""The call of each kept output; a new command needs a line here."""

REAL_CLOCK = ("doctor",)
"""Those that compare the clock with that of the file system."""

WITHOUT_JSON = ("help", "version", "sql-csv")

SALES = """
select day, shop, amount, 'till ' || shop as till, amount * 0.19 as value_added_tax, amount > 4 as is_large,
    'EUR' as currency, day + 30 as payment_due, 'a longer remark of the shop' as remark, 1 as number_of_receipts
from raw, (values ('north'), ('south')) as shops(shop)
"""
WEEK = """
select days.day, sum(sales.amount)::bigint as amount
from (select distinct day from sales) as days join sales on sales.day between days.day - 6 and days.day
group by all
"""


def lay_out(home: Path) -> None:
    """A little warehouse: tables that read one another, days in all states, and requests of all kinds."""
    chain = Chain.at(home)
    # What was written a moment ago is at rest.
    chain = replace(chain, settings=chain.settings.model_copy(update={"stable_seconds": 0.001}))
    tables = chain.settings.tables
    for name in "abcd":
        shutil.rmtree(tables / name)
    chain.define("sales", SALES, 'order_by = ["shop"]\ndaily = true')
    chain.define("shops", "select day, shop, amount from sales", 'keys = ["shop"]')
    chain.define("week", WEEK, 'reads = { sales = "7 days" }')
    (tables / "sales" / "README.md").write_text("# Sales\n\nEvery sale of every shop, a row a till and day.\n")
    (tables / "sales" / "checks.sql").write_text("create view amounts_are_positive as from new where amount < 0;\n")
    ask = chain.ask
    ask("sales", "2025-01-01", "2025-01-05", file="march.json", at=at(1), reason="the first load", requested_by="ada")
    for table in ("sales", "shops", "week"):
        work_off(chain, table)
    write_log(chain, home)
    add_visits(chain)
    ask("sales", "2025-01-10", "2025-01-12", file="given-up.json", at=at(2))
    cancel_request(chain.queue, "given-up.json", now=at(3))
    ask("sales", "2025-01-20", "2025-01-22", file="queued.json", at=at(4), reason="a correction", requested_by="bob")
    ask("shops", "2025-01-20", file="paused.json", at=at(5), keys={"shop": ["north"]})
    note_paused(chain.settings.landing, {"shops"}, now=NOW)
    (home / "good.json").write_text('{"table": "sales", "start_date": "2025-01-01", "end_date": "2025-01-03"}')
    (home / "bad.json").write_text('{"table": "sales", "start_date": "2025-01-41"}')
    shutil.copy(home / "bad.json", chain.settings.landing / "bad.json")
    # Whether a file rests is told by the real clock.
    later = datetime.now(UTC) + timedelta(hours=1)
    process_files(chain.queue, catalog=Catalog.load(tables), now=later, today=NOW.date(), stable_seconds=0)
    (chain.settings.landing / "untouched.json").write_text((home / "good.json").read_text())


def add_visits(chain: Chain) -> None:
    """A table of raw files, one of which is not there, one broken, and one refused by a check."""
    (chain.settings.tables / "sources.toml").write_text('[visit_files]\nfiles = "visits/{day}.csv"\n')
    chain.define("visits", calendar_home.QUERY, 'on_empty = "publish"\ndue = "06:00"')
    (chain.settings.tables / "visits" / "checks.sql").write_text(calendar_home.CHECKS)
    for number, visitors in enumerate([10, "many", -1], start=1):
        calendar_home.deliver(chain, f"2025-01-0{number}", visitors)
    for number in range(1, 5):
        chain.ask("visits", f"2025-01-0{number}", file=f"visits-{number}.json", at=at(10 + number))
    work_off(chain, "visits")
    calendar_home.deliver(chain, "2025-01-01", 12)
    chain.ask("visits", "2025-01-01", file="visits-again.json", at=at(15), requested_by="eve")
    work_off(chain, "visits")


def work_off(chain: Chain, table: str) -> None:
    """A run of the table whose id is always the same, as the files hold it and their sizes are printed."""
    batches = chain.plan(table)
    chain.settle(table, batches, chain.rewrite(table, batches, run="run"))


def at(minutes: int) -> datetime:
    """So many minutes after the first request."""
    return NOW - timedelta(hours=2) + timedelta(minutes=minutes)


def write_log(chain: Chain, home: Path) -> None:
    """A log as Airflow's tasks write it, of the run that served the first request."""
    [record] = find_named(chain.queue, "march.json")
    [run] = record.runs
    folder = home / ".local" / "airflow" / "logs" / "dag_id=rewrite_sales" / f"run_id={run}"
    for place, text in (
        ("task_id=plan", "1 batch of 5 days"),
        ("task_id=rewrite/map_index=0", "5 partitions, 10 rows"),
    ):
        (folder / place).mkdir(parents=True)
        line = {"timestamp": "2025-01-31T10:01:02.123456Z", "level": "info", "event": text, "logger": "reloads"}
        (folder / place / "attempt=1.log").write_text(json.dumps(line) + "\n")


@contextmanager
def home() -> Iterator[Path]:
    """A folder whose path has always the same length, as lines are wrapped by it."""
    folder = Path(mkdtemp(prefix="reloads-outputs-", dir="/tmp"))
    try:
        yield folder / "home"
    finally:
        shutil.rmtree(folder)


def produce(original: Path, name: str, form: str) -> str:
    """What the command prints in that form, in a copy of the home, without what differs each time."""
    with home() as copy:
        # With the hard links, of which history consists.
        subprocess.run(["cp", "-a", original, copy], check=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))
        }
        environment |= {"RELOADS_HOME": str(copy), "LOGNAME": "ada", "RELOADS_STABLE_SECONDS": "0.001"}
        arguments = [*COMMANDS[name], *(["--json"] if form == "json" and name not in WITHOUT_JSON else [])]
        with patch.dict("os.environ", environment, clear=True), chdir(copy):
            printed = call(
                *arguments, width=FORMS[form], clock=utc_now if name in REAL_CLOCK else lambda: NOW, zone=ZONE
            )
        return _format(arguments, printed, copy)


def _format(arguments: list[str], printed: Printed, folder: Path) -> str:
    """The call, both streams and the exit code; ids, times of files and seconds as signs of the same length."""
    text = f"$ reloads {shlex.join(arguments)}\n{printed.out}"
    if printed.err:
        text += f"--- standard error\n{printed.err}"
    text += f"--- exit code {printed.code}\n"
    text = text.replace(str(folder), "/home/ada/reloads".ljust(len(str(folder)), "-"))
    text = re.sub(r"(?<=-)[0-9a-f]{12}(?![0-9a-f])", "x" * 12, text)
    text = re.sub(r"(?<=-)[0-9a-f]{6}(?=\.json)", "x" * 6, text)
    text = re.sub(r"(?<=command/)[0-9a-f]{12}", "x" * 12, text)
    text = re.sub(r"(?!2025-0[12])\b20\d\d-\d\d-\d\d(?=[ T]\d\d:)", "2026-01-01", text)
    text = re.sub(r"(2026-01-01[ T])\d\d:\d\d:\d\d(\.\d+)?", r"\g<1>00:00:00", text)
    text = re.sub(r"[0-9,]+(?= MB are free)", "10,000", text)
    text = re.sub(r"reloads [0-9.]+ works with Python [0-9.]+", "reloads 1.0 works with Python 3.11", text)
    return re.sub(r'"seconds": [0-9.]+', '"seconds": 0.0', text)


def produce_all() -> Iterator[tuple[Path, str]]:
    """Each file, and what it should hold."""
    with home() as original:
        lay_out(original)
        for name in COMMANDS:
            for form in FORMS:
                if form != "json" or name not in WITHOUT_JSON:
                    yield FOLDER / f"{name}.{form}.txt", produce(original, name, form)


def main() -> None:
    """Write all files anew, and remove those that no command makes any more."""
    FOLDER.mkdir(exist_ok=True)
    written = dict(produce_all())
    for path in set(FOLDER.iterdir()) - set(written):
        path.unlink()
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
