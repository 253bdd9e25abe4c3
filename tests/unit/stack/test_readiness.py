"""Whether Airflow is ready, asked of a server that answers as Airflow's does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stack import api, readiness
from stack.api import Api
from stack.errors import StackError
from stack.readiness import LONG_AGO, await_dags, expected_dags, require_login

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAGS = ("request_partitions", "reloads_maintain", "rewrite_sales")


class Airflow(ThreadingHTTPServer):
    """Knows these DAGs and import errors."""

    dags: tuple[str, ...] = DAGS
    paused: tuple[str, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    has_plugin = True
    refused_logins = 0

    def status(self, path: str) -> HTTPStatus:
        if path == "/auth/token" and self.refused_logins:
            self.refused_logins -= 1
            return HTTPStatus.TOO_MANY_REQUESTS
        if path == "/openapi.json" and self.has_plugin:
            return HTTPStatus.UNAUTHORIZED
        return HTTPStatus.OK

    def answer(self, path: str) -> dict[str, Any]:
        if path.startswith("/auth/token"):
            return {"access_token": "token"}
        if path.startswith("/api/v2/importErrors"):
            errors = [{"filename": name, "stack_trace": trace} for name, trace in self.errors]
            return {"import_errors": errors, "total_entries": len(errors)}
        dags = [
            {"dag_id": name, "is_paused": name in self.paused, "is_stale": False, "last_parsed_time": NOW.isoformat()}
            for name in self.dags
        ]
        return {"dags": dags, "total_entries": len(dags)}


class Handler(BaseHTTPRequestHandler):
    server: Airflow

    def do_GET(self) -> None:
        body = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(self.server.status(self.path))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - its name for the standard library

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Airflow]:
    monkeypatch.setattr(readiness, "SECONDS", 1)
    monkeypatch.setattr(readiness, "ERRORS_COUNT_AFTER_SECONDS", 0)
    with Airflow(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for name in ("sales", "Bad Name", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "sources.sql").touch()
    return tmp_path


def client(airflow: Airflow) -> Api:
    return Api(f"http://127.0.0.1:{airflow.server_port}", user="admin", password="x", log="")


def wait(airflow: Airflow, tables: Path, *, since: datetime = LONG_AGO) -> list[str]:
    """What is said by the time that the DAGs are there."""
    said: list[str] = []
    await_dags(client(airflow), tables=tables, since=since, advice=lambda: "read the log", say=said.append)
    return said


def test_a_dag_is_expected_for_each_folder_that_is_named_like_a_table(tables: Path) -> None:
    assert expected_dags(tables) == set(DAGS)


def test_it_is_over_once_all_are_there(airflow: Airflow, tables: Path) -> None:
    assert wait(airflow, tables) == []


def test_a_dag_that_is_missing_is_named_with_what_to_read(airflow: Airflow, tables: Path) -> None:
    airflow.dags = DAGS[:2]
    with pytest.raises(StackError, match="Airflow has not read rewrite_sales; read the log"):
        wait(airflow, tables)


def test_a_dag_read_before_the_start_does_not_count(airflow: Airflow, tables: Path) -> None:
    with pytest.raises(StackError, match="has not read reloads_maintain, request_partitions, rewrite_sales"):
        wait(airflow, tables, since=NOW + timedelta(seconds=1))


def test_a_broken_table_is_said_and_the_others_are_ready(airflow: Airflow, tables: Path) -> None:
    airflow.dags, airflow.errors = DAGS[:2], (("dags/rewrite_partitions.py", "Traceback\nsales: no query.sql\n"),)
    assert wait(airflow, tables) == ["dags/rewrite_partitions.py: sales: no query.sql"]


def test_without_the_dag_that_takes_requests_nothing_is_ready(airflow: Airflow, tables: Path) -> None:
    airflow.dags, airflow.errors = DAGS[1:], (("dags/request_partitions.py", "SyntaxError"),)
    with pytest.raises(StackError, match="request_partitions cannot be read; mend the file named above"):
        wait(airflow, tables)


def test_a_dag_that_was_paused_is_said_and_stays_so(airflow: Airflow, tables: Path) -> None:
    airflow.paused = ("rewrite_sales",)
    assert wait(airflow, tables) == ["paused, as they were left: rewrite_sales; switch them on in the user interface"]


def test_a_server_that_shows_itself_without_a_login_is_told_with_what_to_read(airflow: Airflow) -> None:
    require_login(client(airflow), advice="read the log")

    airflow.has_plugin = False

    with pytest.raises(StackError, match="answers without a login, so it lacks the plugin login_first; read the log"):
        require_login(client(airflow), advice="read the log")


def test_a_login_that_is_refused_for_a_while_is_sent_again_when_it_may_be(airflow: Airflow, tables: Path) -> None:
    airflow.refused_logins = api.TRIES - 1

    assert wait(airflow, tables) == []


def test_a_login_that_is_refused_again_and_again_is_told(airflow: Airflow, tables: Path) -> None:
    airflow.refused_logins = api.TRIES

    with pytest.raises(StackError, match="takes no login now, because somebody sends wrong ones; end that"):
        wait(airflow, tables)


def test_a_server_that_does_not_answer_is_told_with_where_to_look(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "TRIES", 1)
    client = Api("http://127.0.0.1:9", user="admin", password="", log="look at `docker compose logs api-server`")

    with pytest.raises(StackError, match=r"does not answer .*docker compose logs api-server"):
        await_dags(client, tables=tables, since=LONG_AGO, advice=str, say=print)
