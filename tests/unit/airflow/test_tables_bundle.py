"""The folder of DAG files: it asks Airflow to read them again when a table changed, and only then."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select

with warnings.catch_warnings():
    # A package that Airflow needs imports a test client that would like another version of httpx.
    warnings.simplefilter("ignore")
    from airflow import settings as airflow_settings
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dag import DagModel
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    from reloads.airflow.tables_bundle import TablesBundle


@pytest.fixture(scope="module", autouse=True)
def _airflow_database() -> None:
    import_all_models()  # type: ignore[no-untyped-call]
    Base.metadata.create_all(airflow_settings.engine)


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TablesBundle]:
    """The bundle of two DAG files, in a home with a table; it has seen the table."""
    monkeypatch.setenv("RELOADS_HOME", str(tmp_path))
    (tmp_path / "tables" / "sales").mkdir(parents=True)
    (tmp_path / "dags").mkdir()
    for name in ("tables.py", "broken_tables.py"):
        (tmp_path / "dags" / name).touch()
    bundle = TablesBundle(name="dags-folder", path=str(tmp_path / "dags"))
    bundle.refresh()
    yield bundle
    take_requests()


def take_requests() -> set[tuple[str, str]]:
    """What Airflow is asked to read, by bundle and file; Airflow takes it away like this."""
    with create_session() as session:
        requests = session.scalars(select(DagPriorityParsingRequest)).all()
        asked = {(request.bundle_name, request.relative_fileloc) for request in requests}
        session.execute(delete(DagPriorityParsingRequest))
    return asked


BOTH = {("dags-folder", "tables.py"), ("dags-folder", "broken_tables.py")}


@pytest.mark.usefixtures("bundle")
def test_a_process_that_begins_asks_for_nothing_as_it_reads_everything() -> None:
    assert take_requests() == set()


def test_while_no_table_changes_nothing_is_asked_for(bundle: TablesBundle) -> None:
    bundle.refresh()
    assert take_requests() == set()


def test_a_changed_table_has_all_dag_files_read_at_once_and_at_the_next_look(
    bundle: TablesBundle, tmp_path: Path
) -> None:
    (tmp_path / "tables" / "sales" / "query.sql").write_text("select 1")
    bundle.refresh()
    assert take_requests() == BOTH
    bundle.refresh()
    assert take_requests() == BOTH, "Airflow drops what is asked for while it reads the file"
    bundle.refresh()
    assert take_requests() == set()


def test_what_nobody_took_yet_is_asked_for_once(bundle: TablesBundle, tmp_path: Path) -> None:
    (tmp_path / "tables" / "visits").mkdir()
    bundle.refresh()
    bundle.refresh()
    assert take_requests() == BOTH


@pytest.fixture
def dag() -> Iterator[str]:
    """A DAG of one run at a time, which Airflow takes to be at that limit."""
    with create_session() as session:
        session.add(DagBundleModel(name="dags-folder"))
        session.flush()
        dag = DagModel(dag_id="rewrite_sales", bundle_name="dags-folder")  # type: ignore[no-untyped-call]
        dag.max_active_runs = 1
        dag.exceeds_max_non_backfill = True
        session.add(dag)
    yield "rewrite_sales"
    with create_session() as session:
        for model in (DagRun, DagModel, DagBundleModel):
            session.execute(delete(model))


def run_in(dag: str, state: DagRunState) -> None:
    """A run of the DAG in that state."""
    with create_session() as session:
        session.add(DagRun(dag_id=dag, run_id=state.value, run_type=DagRunType.ASSET_TRIGGERED, state=state))


def is_held(dag: str) -> bool:
    """Whether Airflow begins no run of it."""
    with create_session() as session:
        return session.scalars(select(DagModel).where(DagModel.dag_id == dag)).one().exceeds_max_non_backfill


@pytest.mark.parametrize("ended", [(), (DagRunState.SUCCESS,), (DagRunState.FAILED, DagRunState.SUCCESS)])
def test_a_dag_that_waits_for_runs_which_have_ended_is_freed(
    bundle: TablesBundle, dag: str, ended: tuple[DagRunState, ...]
) -> None:
    for state in ended:
        run_in(dag, state)
    bundle.refresh()
    assert not is_held(dag)


@pytest.mark.parametrize("state", [DagRunState.QUEUED, DagRunState.RUNNING])
def test_a_dag_that_waits_for_a_run_of_its_own_goes_on_to_wait(
    bundle: TablesBundle, dag: str, state: DagRunState
) -> None:
    run_in(dag, state)
    bundle.refresh()
    assert is_held(dag)


def test_the_dags_of_other_bundles_are_left_alone(bundle: TablesBundle, dag: str, tmp_path: Path) -> None:
    TablesBundle(name="theirs", path=str(tmp_path / "dags")).refresh()
    assert is_held(dag)
    bundle.refresh()
    assert not is_held(dag)
