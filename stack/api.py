"""Airflow's REST API, as far as the commands need it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

from stack.errors import StackError

PAGE = 100
TRIES = 5
SECONDS_PER_TRY = 20
# The names of the health report, and of the programs.
COMPONENTS = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "dag-processor"}
# A proxy that the user has for the internet does not know the way to this machine.
_open = build_opener(ProxyHandler({})).open


@dataclass(frozen=True)
class Dag:
    """What Airflow knows of a DAG; ``parsed_at`` is when its file was read last."""

    dag_id: str
    is_paused: bool
    parsed_at: datetime


class Api:
    """The API server at ``url``, used as ``user``; ``log`` tells where to read what it says, for the errors."""

    def __init__(self, url: str, *, user: str, password: str, log: str) -> None:
        self.url = url
        self._log = log
        self._login = {"username": user, "password": password}
        self._token = ""

    def silent_components(self, since: datetime) -> list[str]:
        """The programs that gave no sign of life after ``since``; the API server alone if it does not answer."""
        try:
            health = self._send("GET", "/api/v2/monitor/health")
        except (OSError, HTTPException, ValueError):
            return ["api-server"]
        if health["metadatabase"]["status"] != "healthy":
            return ["postgres"]
        return [program for part, program in COMPONENTS.items() if not _is_alive(health.get(part), part, since)]

    def needs_login(self) -> bool:
        """Whether it keeps to itself what somebody without a login must not see, as the plugin ``login_first`` does."""
        try:
            _open(f"{self.url}/openapi.json", timeout=SECONDS_PER_TRY).close()
        except HTTPError as error:
            error.close()
            return error.code == HTTPStatus.UNAUTHORIZED
        except (OSError, HTTPException) as error:
            raise StackError(f"{self.url} does not answer ({error}); {self._log}") from error
        return False

    def dags(self) -> list[Dag]:
        """The DAGs that are not stale."""
        return [
            Dag(dag["dag_id"], dag["is_paused"], datetime.fromisoformat(dag["last_parsed_time"]))
            for dag in self._pages("/api/v2/dags", "dags")
            if not dag["is_stale"] and dag["last_parsed_time"]
        ]

    def import_errors(self) -> dict[str, str]:
        """Why DAG files, or tables in them, could not be read: the last line by file name."""
        errors = self._pages("/api/v2/importErrors", "import_errors")
        return {error["filename"]: (error["stack_trace"].strip().splitlines() or [""])[-1] for error in errors}

    def unpause(self, dag_id: str) -> None:
        """Switch a DAG on; one that is on stays so."""
        self._call("PATCH", f"/api/v2/dags/{quote(dag_id)}", {"is_paused": False})

    def make_pool(self, name: str, *, slots: int) -> None:
        """Make the pool, or give it that many slots."""
        pool = {"name": name, "slots": slots, "description": "rewrites; each has a share of the memory"}
        if name in {pool["name"] for pool in self._pages("/api/v2/pools", "pools")}:
            # All fields: Airflow 3.3.2 refuses a part of them, also where update_mask names that part.
            self._call("PATCH", f"/api/v2/pools/{quote(name)}", {**pool, "include_deferred": False})
        else:
            self._call("POST", "/api/v2/pools", pool)

    def active_runs(self) -> int:
        """How many runs of all DAGs are queued or running."""
        query = urlencode([("state", "queued"), ("state", "running"), ("limit", 1)])
        return int(self._call("GET", f"/api/v2/dags/~/dagRuns?{query}")["total_entries"])

    def _pages(self, path: str, key: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", f"{path}?{urlencode({'limit': PAGE, 'offset': len(entries)})}")
            entries += page[key]
            if not page[key] or len(entries) >= page["total_entries"]:
                return entries

    def _call(self, method: str, path: str, body: object = None) -> Any:
        try:
            if not self._token:
                self._token = self._try("POST", "/auth/token", self._login)["access_token"]
            return self._try(method, path, body)
        except HTTPError as error:
            error.close()
            if error.code == HTTPStatus.UNAUTHORIZED:
                raise StackError(
                    f"{self.url} refuses our password: another stack listens there; stop this one and start it again"
                ) from error
            if error.code == HTTPStatus.TOO_MANY_REQUESTS:
                raise StackError(
                    f"{self.url} takes no login now, because somebody sends wrong ones; end that, then try again"
                ) from error
            raise StackError(f"{method} {path} is answered with {error.code}; {self._log}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise StackError(f"{self.url} does not answer ({error}); {self._log}") from error

    def _try(self, method: str, path: str, body: object) -> Any:
        """Send it, more than once if need be: all we ask for can be repeated, and a busy machine takes its time."""
        is_sent = False
        for _ in range(TRIES - 1):
            try:
                return self._send(method, path, body)
            except HTTPError as error:
                if is_sent and error.code == HTTPStatus.CONFLICT:
                    # The try before this one did it, and its answer did not come in time.
                    error.close()
                    return None
                if error.code != HTTPStatus.TOO_MANY_REQUESTS:
                    raise
                # Somebody mistyped the password a few times, and sits at the same address as we do.
                error.close()
                time.sleep(min(float(error.headers.get("Retry-After", "1")), SECONDS_PER_TRY))
            except (OSError, HTTPException):
                is_sent = True
                time.sleep(1)
        return self._send(method, path, body)

    def _send(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own http address
        with _open(request, timeout=SECONDS_PER_TRY) as answer:
            return json.load(answer)


def _is_alive(report: dict[str, str] | None, part: str, since: datetime) -> bool:
    if not report or report["status"] != "healthy":
        return False
    return datetime.fromisoformat(report[f"latest_{part}_heartbeat"]) >= since
