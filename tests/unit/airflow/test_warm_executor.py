"""What the processes that fork tasks have done: all that a task needs, and nothing that a fork would lose."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.clone import CLONE

PROBE = """
import json, os, sys
import airflow.executors.local_executor
from reloads.airflow.warm_executor import prepare_for_tasks
prepare_for_tasks()
threads = len(os.listdir("/proc/self/task"))
warm = set(sys.modules)
os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = "rewrite_sales"
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
import reloads.runs.plan_step, reloads.runs.rewrite_step, reloads.runs.settle_step, reloads.runs.telling, duckdb
new = sorted(name for name in set(sys.modules) - warm if name.split(".")[0] in ("reloads", "duckdb", "_duckdb"))
from pathlib import Path
from reloads.tables import definition
from reloads.tables.catalog import Catalog
tables, parsed = Path(os.environ["RELOADS_HOME"]) / "tables", []
parse = definition._parse_table
definition._parse_table = lambda name, *texts: parsed.append(name) or parse(name, *texts)
kept = Catalog.load(tables).tables["sales"].query
(tables / "sales" / "query.sql").write_text("select date '2025-01-02' as day")
changed = Catalog.load(tables).tables["sales"].query
print(json.dumps({
    "dags": sorted(bag.dags), "threads": threads, "new": new, "parsed": parsed, "queries": [kept, changed]
}))
"""


def probe(home: Path) -> Any:
    """What a process that imports for tasks has to import when one runs."""
    folder = home / "tables" / "sales"
    folder.mkdir(parents=True)
    (folder / "query.sql").write_text("select date '2025-01-01' as day")
    (folder / "table.toml").write_text('day_column = "day"\nfirst_day = 2024-01-01\n')
    environment = os.environ | {
        "RELOADS_HOME": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "PYTHONPATH": str(CLONE),
    }
    command = [sys.executable, "-c", PROBE, str(CLONE / "dags" / "reloads_dags.py")]
    run = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_a_task_imports_and_parses_nothing_more_and_no_thread_runs_that_a_fork_would_lose(tmp_path: Path) -> None:
    probed = probe(tmp_path)
    assert probed == {
        "dags": ["rewrite_sales"],
        "threads": 1,
        "new": [],
        # Once, after it changed.
        "parsed": ["sales"],
        "queries": ["select date '2025-01-01' as day", "select date '2025-01-02' as day"],
    }
