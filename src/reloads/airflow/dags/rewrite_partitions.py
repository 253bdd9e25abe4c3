"""
### Rewrite the partitions asked for

One DAG per table, all alike. An event on `requested/<table>` wakes it; what it does depends on what is
outstanding in `landing/accepted/`, not on the event. So no request is lost, and overlapping requests are rewritten
once.

1. **plan** takes the outstanding days, daily loads first, then the newest, and cuts them into batches.
2. **rewrite** runs the table's query for one batch and publishes one Parquet file a day, each by a rename.
3. **settle** runs whatever happened: it records progress, moves finished requests to `done/` or `failed/`, asks
   downstream tables to follow, emits an event on `warehouse/<table>`, and wakes the next run if something is left.

If there is one batch, *plan* rewrites it and settles, and the other two are skipped. They do it if it fails there, and
where workers of another queue rewrite the table.

A run is red when a batch failed. The partitions that were published stay published; the others keep their old files.
*Trigger* with a first and a last day asks for them by hand; with nothing filled in it rewrites what is outstanding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, DownstreamTasksSkipped

from reloads.airflow.assets import Assets
from reloads.airflow.forms import request_params
from reloads.airflow.lineage import emit_lineage
from reloads.airflow.metrics import count_run, counted_endings
from reloads.airflow.tasks import (
    event_reader,
    origin_of,
    person_of,
    plain_errors,
    retry_arguments,
    shown_refusals,
    told_reader,
)
from reloads.requests.announcement import look_again_extra
from reloads.requests.events import accept_foreign_events
from reloads.requests.form import is_filled_in, read_form
from reloads.requests.intake import request_by_hand
from reloads.settings import Settings
from reloads.tables.table_text import describe_table, read_text, summarize
from reloads.tables.task_settings import read_task_settings

SPARE_MINUTES = 5
"""So much longer than a batch its task may take; it ends by itself unless it hangs, and then Airflow ends it."""

if TYPE_CHECKING:
    from reloads.outcome import Outcome
    from reloads.runs.settle_step import Settled
    from reloads.tables.catalog import Catalog


def build_rewriting(settings: Settings, table: str) -> DAG:
    """The DAG that rewrites one table."""
    assets = Assets(settings.names)
    requested, published, rewritten = assets.request(table), assets.warehouse(table), assets.rewritten(table)
    tasks = read_task_settings(settings, table)
    time_limit = timedelta(minutes=tasks.batch_minutes + SPARE_MINUTES)
    # What is not named here runs where Airflow's other tasks do.
    place: dict[str, Any] = {"queue": tasks.queue} if tasks.queue else {}
    with DAG(
        settings.names.rewrite_dag(table),
        doc_md=f"{describe_table(settings.tables, table)}\n\n{__doc__}",
        description=summarize(read_text(settings.tables, table)) or f"Rewrite the partitions of {table}",
        schedule=assets.request_schedule(table),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["reloads"],
        # A run that began ends before another begins. By Airflow's default 200 daily tables are all planned before the
        # first of them is rewritten.
        default_args={**retry_arguments(settings), "weight_rule": "upstream"},
        params=request_params(),
    ) as dag:
        # In the pool, because it rewrites, too. With three tasks a batch, a wave of three levels took 3.7 s, not 2.3 s.
        @task(
            pool=settings.pool if tasks.is_elsewhere else tasks.pool,
            execution_timeout=time_limit,
            inlets=[requested, published],
            outlets=[rewritten],
        )
        def plan(table, *, ti=None, dag_run=None, params=None, inlet_events=None, outlet_events=None, **context):
            """Cut what is outstanding into batches, and do all of it where there is one.

            Each event that is refused goes with the batches, to turn the run red.
            """
            from reloads.runs.small_run import begin_run
            from reloads.warehouse.upgrade import open_catalog

            with plain_errors(), counted_endings():
                catalog = open_catalog(settings)
                _accept_form(settings, catalog, table, params, dag_run)
                log_of_events = event_reader(inlet_events[requested])
                followed = accept_foreign_events(settings, catalog, table, log_of_events, now=_now())
                refusals = shown_refusals(followed.rejected)
                begun = begin_run(settings, catalog, table, run=dag_run.run_id, clock=_now, may_end=not refusals)
            if followed.look_again:
                outlet_events[rewritten].add(requested, extra=look_again_extra(table))
            if begun.outcome:
                ti.xcom_push("outcome", begun.outcome.to_json())
                emit_lineage(settings, table, begun.batches[0].to_json(), begun.outcome, ti=ti, run=dag_run.run_id)
            if begun.settled:
                _announce(settings, catalog, begun.settled, inlet_events[published], outlet_events[rewritten])
                raise DownstreamTasksSkipped(tasks=["rewrite", "settle"])
            return begun.tasks() + [{"label": sentence, "is_refusal": True} for sentence in refusals]

        # All else touches the drop folder, and stays where that is.
        @task(
            **place,
            pool=tasks.pool,
            execution_timeout=time_limit,
            max_active_tis_per_dagrun=tasks.at_once,
            executor=tasks.executor or None,
            map_index_template="{{ task.op_kwargs['batch']['label'] }}",
        )
        def rewrite(table, batch, *, ti=None, run_id=None, **context):
            """Rewrite and publish one batch."""
            if batch.get("is_refusal"):
                raise AirflowFailException(batch["label"])
            with plain_errors():
                outcome = _rewrite_or_recall(settings, table, batch, ti=ti, run=run_id)
                ti.xcom_push("outcome", outcome.rewritten_by(ti.hostname).to_json())
                outcome.raise_failures()

        @task(inlets=[published], outlets=[rewritten])
        def settle(table, *, ti=None, run_id=None, inlet_events=None, outlet_events=None, **context):
            """Record what came of it, wake whoever waits for it, and tell what was published since the last time."""
            from reloads.runs.settle_step import settle_batches
            from reloads.warehouse.upgrade import open_catalog

            batches = _batches_of(settings, table, ti.xcom_pull(task_ids="plan"), run=run_id)
            outcomes = ti.xcom_pull(task_ids="rewrite", key="outcome", map_indexes=range(len(batches)))
            with plain_errors(), counted_endings():
                catalog = open_catalog(settings)
                settled = settle_batches(settings, catalog, table, batches, outcomes, run=run_id, now=_now())
            _announce(settings, catalog, settled, inlet_events[published], outlet_events[rewritten])

        batches = rewrite.partial(table=table).expand(batch=plan(table))
        # A teardown runs whatever happened before it and leaves the colour of the run to the task before it; one that
        # may fail the run (on_failure_fail_dagrun) would be the only task that counts.
        batches >> settle(table).as_teardown()
    return dag


def _accept_form(settings: Settings, catalog: Catalog, table: str, params: Any, dag_run: Any) -> None:
    """Accept what somebody asked for who triggered the run by hand."""
    if is_filled_in(params) and (form := read_form({**params, "table": table})):
        origin, by = origin_of(dag_run), person_of(dag_run)
        request_by_hand(settings, catalog, form, now=_now(), origin=origin, requested_by=by)


def _rewrite_or_recall(settings: Settings, table: str, batch: Mapping[str, Any], *, ti: Any, run: str) -> Outcome:
    """What the batch comes to; one that was tried, and that cannot succeed, is not tried again."""
    from reloads.outcome import Outcome
    from reloads.runs.rewrite_step import run_batch

    if tried := batch.get("tried"):
        return Outcome.model_validate(tried)
    try:
        outcome = run_batch(settings, table, batch, run=run, now=_now())
    except AirflowTaskTimeout:
        # It hangs where it cannot be interrupted, and would hang again.
        raise AirflowFailException(f"{batch['label']} took longer than Airflow lets the task") from None
    emit_lineage(settings, table, batch, outcome, ti=ti, run=run)
    return outcome


def _batches_of(
    settings: Settings, table: str, planned: Sequence[Mapping[str, Any]] | None, *, run: str
) -> list[Mapping[str, Any]]:
    """The batches that were planned, without refusals; those that were begun if all tries to plan were killed."""
    from reloads.requests.batch_notes import read_begun_batches

    if planned is None:
        return [batch.to_json() for batch in read_begun_batches(settings.landing, table, run=run)]
    return [batch for batch in planned if not batch.get("is_refusal")]


def _announce(settings: Settings, catalog: Catalog, settled: Settled, told: Any, events: Any) -> None:
    """Count what the run came to, wake whoever waits for it, and tell what was published since the last time."""
    from reloads.runs.telling import tell

    assets = Assets(settings.names)
    with plain_errors():
        news = tell(settings, catalog, settled.table, read_told=told_reader(told))
    count_run(settled.table, settled.outcomes)
    if news:
        events.add(assets.warehouse(settled.table), extra=news.extra())
    for announcement in settled.announce:
        events.add(assets.request(announcement.table), extra=announcement.extra())


def _now() -> datetime:
    return datetime.now(UTC)
