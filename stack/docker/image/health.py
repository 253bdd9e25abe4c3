"""Whether the service of this container works: ``python health.py SERVICE``; the exit code is 0 if it does.

Docker restarts a container whose process ends, but not one whose process hangs. So a service that gave no sign of life
for five minutes is ended here, and the restart policy starts it afresh. One whose clock went wrong is ended at once: it
starts again and waits until the clock is right, see ``clock``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import clock
import psycopg2

JOBS = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
API = "http://127.0.0.1:8080"
STALE_SECONDS = 30
HUNG_SECONDS = 300
SILENT_SINCE = Path("/tmp/silent-since")  # noqa: S108 - this container's own, gone with its restart
STARTED = Path(os.environ["AIRFLOW_HOME"], "airflow.cfg")
"""Written by Airflow whenever the container starts: a heartbeat from before is another process's."""
LAST_CLEANED = Path("/tmp/last-cleaned")  # noqa: S108
HEARTBEAT = "select max(latest_heartbeat) from job where job_type = %s and hostname = %s and state = 'running'"


EDGE_PID = Path(os.environ["AIRFLOW_HOME"], "airflow-edge-worker.pid")
EDGE_STATUS = EDGE_PID.with_suffix(".out")
STATUS_SECONDS = 10


class SilentError(Exception):
    """The service gives no sign of life, or a wrong one; the text says which."""


def main(service: str) -> int:
    """Check once; the text goes to Docker's record of health checks."""
    try:
        clock.check()
        OTHERS.get(service, lambda: heart_beats(service))()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the service does not work
        print(error)
        went_wrong = isinstance(error, clock.WrongClockError) and clock.STARTED_RIGHT.exists()
        if went_wrong or _silent_seconds() > HUNG_SECONDS:
            _end_service()
        return 1
    SILENT_SINCE.unlink(missing_ok=True)
    return 0


def api_answers() -> None:
    """The API server answers, reaches the database, and keeps to itself what needs a login."""
    browse = build_opener(ProxyHandler({})).open
    with browse(f"{API}/api/v2/monitor/health", timeout=5) as answer:
        if json.load(answer)["metadatabase"]["status"] != "healthy":
            raise SilentError("the API server does not reach the database")
    try:
        browse(f"{API}/openapi.json", timeout=5).close()
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.UNAUTHORIZED:
            return
    raise SilentError("the API server answers without a login; its log says why it lacks the plugin login_first")


def heart_beats(service: str) -> None:
    """The job of this container wrote its heartbeat lately."""
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    connection = psycopg2.connect(url, connect_timeout=5, options="-c statement_timeout=5000")
    try:
        with connection.cursor() as cursor:
            cursor.execute(HEARTBEAT, (JOBS[service], socket.gethostname()))
            [beat] = cursor.fetchone() or [None]
    finally:
        connection.close()
    # By the clock that wrote it: the database's may be another machine's.
    if beat is None or beat.timestamp() < max(time.time() - STALE_SECONDS, STARTED.stat().st_mtime):
        raise SilentError(f"the last heartbeat of {service} is {beat}")


def history_is_cleaned() -> None:
    """The daily cleaning went through, or is not due yet."""
    if time.time() - LAST_CLEANED.stat().st_mtime > 2 * 86_400:
        raise SilentError("old history was not removed for two days")


def worker_answers() -> None:
    """The worker takes tasks from Redis: it hears a question that comes that way."""
    from celery import Celery  # noqa: PLC0415 - nobody else needs it, and every check would pay for it

    queue = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False)
    name = f"celery@{socket.gethostname()}"
    with queue.connection_for_write(connect_timeout=5) as connection:
        connection.ensure_connection(max_retries=1)
        if not queue.control.ping(destination=[name], timeout=10, connection=connection):
            raise SilentError(f"{name} does not answer")


def edge_worker_answers() -> None:
    """The worker's loop turns: asked how it is by a signal, it writes that down."""
    asked_at = time.time()
    try:
        os.kill(int(EDGE_PID.read_text()), signal.SIGUSR2)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise SilentError("the worker is not registered with the API server") from error
    while not EDGE_STATUS.exists() or EDGE_STATUS.stat().st_mtime < asked_at - 1:
        if time.time() > asked_at + STATUS_SECONDS:
            raise SilentError("the worker does not say how it is")
        time.sleep(0.1)


OTHERS = {
    "api-server": api_answers,
    "retention": history_is_cleaned,
    "worker": worker_answers,
    "edge-worker": edge_worker_answers,
}


def _silent_seconds() -> float:
    # By a clock that nobody sets: two hours that never were are no silence.
    now = time.monotonic()
    with suppress(FileExistsError), SILENT_SINCE.open("x", encoding="utf-8") as note:
        note.write(str(now))
    return now - float(SILENT_SINCE.read_text(encoding="utf-8") or now)


def _end_service() -> None:
    """Kill what the container's init started; init ends with it, and so does the container."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == 1:
                os.kill(int(status.parent.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
