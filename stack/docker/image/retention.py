"""Removes what Airflow remembers of runs that ended long ago: rows of its database, and task logs.

    python retention.py          every day, for as long as the container runs
    python retention.py now      once
    python retention.py logs     the logs only, every day: of a worker, whose logs are its own

AIRFLOW_HISTORY_DAYS says how long ago; 0 keeps everything. Requests and partitions are never touched: their folders
are not even mounted here. No DAG does this, because Airflow lets no task into its database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY_SECONDS = 86_400
FIRST_AFTER_SECONDS = 900  # not while everything starts
LAST_CLEANED = Path("/tmp/last-cleaned")  # noqa: S108 - this container's own; the health check reads it
# Not `trigger`: the doorbell's row is as old as the deployment. Not `asset_event`: a paused table may not have read its
# events yet. What hangs on these tables goes with them.
TABLES = ("dag_run", "job", "log", "import_error", "dag_version", "revoked_token")


def main() -> None:
    """Clean once, or every day."""
    days = int(os.environ["AIRFLOW_HISTORY_DAYS"])
    if sys.argv[1:] == ["now"]:
        clean(days)
        return
    if sys.argv[1:] == ["logs"]:
        while True:
            clean_logs(days)
            time.sleep(DAY_SECONDS)
    LAST_CLEANED.touch()
    time.sleep(FIRST_AFTER_SECONDS)
    while True:
        clean(days)
        LAST_CLEANED.touch()
        time.sleep(DAY_SECONDS)


def clean(days: int) -> None:
    """Remove what ended more than ``days`` ago; 0 removes nothing."""
    if days == 0:
        print("AIRFLOW_HISTORY_DAYS is 0: everything is kept")
        return
    before = datetime.now(UTC) - timedelta(days=days)
    options = ["--yes", "--skip-archive", "--error-on-cleanup-failure", "--tables", ",".join(TABLES)]
    subprocess.run(["airflow", "db", "clean", "--clean-before-timestamp", before.isoformat(), *options], check=True)
    print(f"removed the history before {before:%Y-%m-%d %H:%M}")
    clean_logs(days)


def clean_logs(days: int) -> None:
    """Remove the log files not written for ``days``; 0 removes nothing."""
    if days:
        before = datetime.now(UTC) - timedelta(days=days)
        removed = remove_logs(Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]), before=before.timestamp())
        print(f"removed {removed} log files from before {before:%Y-%m-%d %H:%M}", flush=True)


def remove_logs(folder: Path, *, before: float) -> int:
    """Remove the files not written since, and the folders that are left empty; returns the number of files."""
    removed = 0
    for parent, folders, files in os.walk(folder, topdown=False):
        for path in (Path(parent, name) for name in files):
            if path.lstat().st_mtime < before:
                path.unlink()
                removed += 1
        for path in (Path(parent, name) for name in folders):
            # A folder changed when a file was removed from it: it goes the next time, and a young one is never taken.
            if not path.is_symlink() and path.lstat().st_mtime < before and not any(path.iterdir()):
                path.rmdir()
    return removed


if __name__ == "__main__":
    main()
