"""Who may see and do what: the rights on a table are those that Airflow gives on the DAG ``rewrite_<table>``.

Reading a table needs GET on that DAG, asking and steering need POST on its runs. Airflow hands no login on to an
application that is mounted into its server, so each of our answers depends on ``RightsDep``, which asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.batch_apis import IsAuthorizedDagRequest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.configuration import conf
from fastapi import Depends

from reloads.airflow.page.refusals import Refusal, forbidden, not_found
from reloads.names import Names
from reloads.settings import Settings


def current_names() -> Names:
    """What the DAGs are called, by the settings of the server."""
    return Settings.from_environment(os.environ).names


NamesDep = Annotated[Names, Depends(current_names)]


class Rights:
    """What one user may see and do; each question is asked of Airflow once."""

    def __init__(self, user: Any, names: Names) -> None:
        self._user = user
        self.names = names
        self._readable: dict[str, bool] = {}
        self._steerable: dict[str, bool] = {}

    @property
    def name(self) -> str:
        """The name with which the user logged in."""
        return str(self._user.get_name())

    def readable(self, tables: Collection[str]) -> set[str]:
        """Those of the tables that the user may see."""
        dag_of = self.names.rewrite_dag
        self._read([dag_of(table) for table in tables])
        return {table for table in tables if self._readable[dag_of(table)]}

    def may_read(self, table: str) -> bool:
        """Whether the user may see the table."""
        return bool(self.readable([table]))

    def may_read_dag(self, dag_id: str) -> bool:
        """Whether the user may see the DAG of that name."""
        self._read([dag_id])
        return self._readable[dag_id]

    def may_see_files(self) -> bool:
        """Whether the user may see which files wait in the drop folder or were rejected."""
        return self.may_read_dag(self.names.intake_dag)

    def may_steer(self, table: str) -> bool:
        """Whether the user may ask for days of the table, and cancel, retry and undo what was asked."""
        return table in self.steerable([table])

    def steerable(self, tables: Iterable[str]) -> set[str]:
        """Those of the tables of which the user may ask for days."""
        names = set(tables)
        unknown = sorted(names - self._steerable.keys())
        if unknown:
            dag_ids = [self.names.rewrite_dag(table) for table in unknown]
            questions = [_ask_to_steer(dag_id, team) for dag_id, team in _teams(dag_ids)]
            manager = get_auth_manager()
            # One question where all may, which is what most people may.
            if manager.batch_is_authorized_dag(questions, user=self._user):
                self._steerable |= dict.fromkeys(unknown, True)
            else:
                for table, question in zip(unknown, questions, strict=True):
                    self._steerable[table] = manager.batch_is_authorized_dag([question], user=self._user)
        return {table for table in names if self._steerable[table]}

    def require_read(self, table: str, known: Collection[str]) -> None:
        """Raise 404 unless the table is known and the user may see it: the two cannot be told apart."""
        if table not in known or not self.may_read(table):
            raise unknown_table(table)

    def require_steer(self, table: str) -> None:
        """Raise 403 unless the user may ask for days of the table."""
        if not self.may_steer(table):
            dag = self.names.rewrite_dag(table)
            raise forbidden(f"{self.name!r} may not trigger {dag}; ask an administrator of Airflow for that")

    def _read(self, dag_ids: Iterable[str]) -> None:
        unknown = sorted(set(dag_ids) - self._readable.keys())
        by_team: dict[str | None, set[str]] = {}
        for dag_id, team in _teams(unknown):
            by_team.setdefault(team, set()).add(dag_id)
        for team, ids in by_team.items():
            allowed = get_auth_manager().filter_authorized_dag_ids(
                dag_ids=ids, user=self._user, method="GET", team_name=team
            )
            self._readable |= {dag_id: dag_id in allowed for dag_id in ids}


def unknown_table(table: str) -> Refusal:
    """The answer for a table that does not exist, or that the user may not see."""
    return not_found(f"table {table[:80]!r} is unknown; GET /reloads/api/tables lists those that you may see")


def _ask_to_steer(dag_id: str, team: str | None) -> IsAuthorizedDagRequest:
    details = DagDetails(id=dag_id, team_name=team)
    return {"method": "POST", "access_entity": DagAccessEntity.RUN, "details": details}


def _teams(dag_ids: list[str]) -> list[tuple[str, str | None]]:
    """Each DAG with the team that owns it; without teams nobody is asked."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return [(dag_id, None) for dag_id in dag_ids]
    from airflow.models.dag import DagModel

    teams = DagModel.get_dag_id_to_team_name_mapping(dag_ids)
    return [(dag_id, teams.get(dag_id)) for dag_id in dag_ids]


def _make_rights(user: GetUserDep, names: NamesDep) -> Rights:
    return Rights(user, names)


RightsDep = Annotated[Rights, Depends(_make_rights)]
