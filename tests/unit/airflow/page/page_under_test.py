"""The app of the page as the API server mounts it, for users with the roles and tables that a test gives them.

Only who is logged in is decided here. The rights are asked of Airflow's simple auth manager, the DAGs of a database of
Airflow, and the folders are those of a chain of tables.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # A package that Airflow needs imports a test client that would like another version of httpx.
    warnings.simplefilter("ignore")
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

PREFIX = "/reloads"


class TablesManager(SimpleAuthManager):
    """Airflow's simple auth manager, where some users see some DAGs only, as those of other auth managers may."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.only: dict[str, set[str]] = {}
        self.no_runs: set[str] = set()
        """Users who may change a DAG, and not start runs of it."""

    def is_authorized_dag(self, *, details: DagDetails | None = None, user: Any, **question: Any) -> bool:
        """Whether the user may, by role and by DAG."""
        seen = self.only.get(user.get_name())
        if seen is not None and (details is None or details.id not in seen):
            return False
        if user.get_name() in self.no_runs and question.get("access_entity") == DagAccessEntity.RUN:
            return False
        return bool(super().is_authorized_dag(details=details, user=user, **question))


@dataclass
class Page:
    """The app in its place below the prefix, as one user meets it."""

    client: TestClient
    app: FastAPI
    manager: TablesManager

    def log_in(self, name: str, role: str, *, tables: str | None = None, dags: tuple[str, ...] = ()) -> None:
        """Be that user from now on; with ``tables`` one who may see only these and ``dags``."""
        user = SimpleAuthManagerUser(username=name, role=role)
        self.manager.only[name] = {*(f"rewrite_{table}" for table in tables), *dags} if tables is not None else set()
        if tables is None:
            del self.manager.only[name]
        self.app.dependency_overrides[get_user] = lambda: user

    def log_out(self) -> None:
        """Be nobody."""
        self.app.dependency_overrides.clear()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the answer to what our own page sends."""
        headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"} | headers
        content = None if body is None else json.dumps(body)
        answer = self.client.request(method, f"{PREFIX}{path}", content=content, headers=headers)
        return answer.status_code, answer.json()

    def get(self, path: str) -> Any:
        """The data there; anything else fails the test."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a request that is taken; anything else fails the test."""
        status, answer = self.ask("POST", path, {} if body is None else body)
        assert status in (200, 202), answer
        return answer

    def refusal(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The status and the sentence of a refusal."""
        status, answer = self.ask(method, path, body)
        assert set(answer) == {"detail"}, answer
        return status, answer["detail"]
