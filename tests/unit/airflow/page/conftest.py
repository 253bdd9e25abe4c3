"""The page of a chain of tables, as Airflow's API server has it, and Airflow's database."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest

from tests.support.chain import Chain
from tests.unit.airflow.page.page_under_test import PREFIX, Page, TablesManager

with warnings.catch_warnings():
    # A package that Airflow needs imports a test client that would like another version of httpx.
    warnings.simplefilter("ignore")
    from airflow import settings as airflow_settings
    from airflow.api_fastapi.app import _AuthManagerState
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun, DagRunNote
    from airflow.utils.session import create_session
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from sqlalchemy import delete
    from sqlalchemy.orm import Session

    from reloads.airflow.page.app import make_app


@pytest.fixture(scope="session", autouse=True)
def _airflow_database() -> None:
    """The tables of Airflow's database, all empty."""
    import_all_models()  # type: ignore[no-untyped-call]
    Base.metadata.create_all(airflow_settings.engine)


@pytest.fixture(scope="session")
def app() -> FastAPI:
    """The app, which is made once as in a server; what it keeps it keeps by settings."""
    return make_app()


@pytest.fixture
def page(app: FastAPI, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """The page of the chain's home, for the administrator."""
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    monkeypatch.setenv("RELOADS_TIME_ZONE", "UTC")
    manager = TablesManager()
    monkeypatch.setattr(_AuthManagerState, "instance", manager)
    server = FastAPI()
    server.mount(PREFIX, app)
    with TestClient(server, base_url="http://airflow.example") as client:
        page = Page(client, app, manager)
        page.log_in("admin", "admin")
        yield page
        page.log_out()


@pytest.fixture
def database() -> Iterator[Session]:
    """A session of Airflow's database, in which a bundle is known; what a test writes is removed."""
    with create_session() as session:
        session.merge(DagBundleModel(name="dags"))
        session.commit()
        yield session
        session.rollback()
        for model in (DagRunNote, DagRun, DagModel):
            session.execute(delete(model))


@pytest.fixture
def paused(database: Session) -> Callable[[str], None]:
    """``paused(dag_id)`` makes a DAG that is paused."""

    def pause(dag_id: str) -> None:
        dag = {"dag_id": dag_id, "bundle_name": "dags", "is_paused": True, "fileloc": "tables.py"}
        database.add(DagModel(**dag))  # type: ignore[no-untyped-call]
        database.commit()

    return pause
