"""Airflow's REST API as a user's script sees it."""

from __future__ import annotations

import json
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

# A proxy for the internet does not know the way to this machine.
_open = build_opener(ProxyHandler({})).open


class Rest:
    """The API server at ``url``; paths start behind ``/api/v2``."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._url = url
        self.token = ""
        self.token = str(self._send("POST", "/auth/token", {"username": user, "password": password})["access_token"])

    def get(self, path: str, **query: object) -> Any:
        return self._send("GET", f"/api/v2{path}" + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, body: object) -> Any:
        return self._send("POST", f"/api/v2{path}", body)

    def patch(self, path: str, body: object) -> Any:
        return self._send("PATCH", f"/api/v2{path}", body)

    def trigger(self, dag_id: str, **conf: object) -> str:
        """Start a run by hand; its id."""
        return str(self.post(f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def pause(self, dag_id: str) -> None:
        self.patch(f"/dags/{dag_id}", {"is_paused": True})

    def unpause(self, dag_id: str) -> None:
        self.patch(f"/dags/{dag_id}", {"is_paused": False})

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, oldest first."""
        return list(self.get(f"/dags/{dag_id}/dagRuns", limit=100, order_by="run_after")["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return list(self.get(path, limit=100)["task_instances"])

    def log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> str:
        """What the first try of a task said, as the user interface shows it; ``map_index`` of a mapped one."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/logs/1"
        return json.dumps(self.get(path, map_index=map_index), ensure_ascii=False)

    def asset_id(self, name: str) -> int:
        # An asset that no DAG names counts as inactive; its events are kept all the same.
        assets = self.get("/assets", name_pattern=name, only_active=False, limit=100)["assets"]
        return next(int(asset["id"]) for asset in assets if asset["name"] == name)

    def events(self, asset: str) -> list[dict[str, Any]]:
        """The extras of an asset's events, oldest first."""
        page = self.get("/assets/events", asset_id=self.asset_id(asset), limit=100, order_by="timestamp")
        return [event["extra"] for event in page["asset_events"]]

    def _send(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            answer: HTTPResponse
            with _open(Request(self._url + path, data, headers, method=method), timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                text = error.read().decode("utf-8", "replace")
            raise AssertionError(f"{method} {path} is answered with {error.code}: {text}") from None
