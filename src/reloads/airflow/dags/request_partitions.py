"""
### Who asks for partitions

Turns every way of asking into accepted requests, and wakes the tables concerned.

* **By the clock**: once a day, yesterday of every table with `daily = true`, and the days missed since the last time.
* **By a file**: drop a JSON file into `landing/`, and the doorbell wakes this DAG within a second:

      {"table": "flights", "start_date": "2013-01-01", "end_date": "2013-01-31", "reason": "late files"}

* **By raw files**: where a table has `on_arrival`, a file that comes or changes asks for its days; and a day that waits
  for its file is loaded once that has come.
* **By hand**: *Trigger* opens a form. A table and a first day ask for these days; a form with nothing filled in does
  what the clock does.

1. **request** checks each request, in the order in which they were asked for, writes the good ones to
   `landing/accepted/`, moves the bad ones to `landing/rejected/` with a sentence that says what to change, and emits
   one event a table on `requested/<table>`.
2. **rejected** is skipped if all were good. Otherwise it fails once for each that was not, with the sentence: the run
   is red, and the good ones go on all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowFailException

from reloads.airflow.assets import Assets
from reloads.airflow.forms import request_params
from reloads.airflow.metrics import counted_endings
from reloads.airflow.tasks import origin_of, person_of, plain_errors, retry_arguments, shown_refusals
from reloads.requests.announcement import look_again_extra
from reloads.requests.intake import collect_requests, request_by_form
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import table_names


def build_intake(settings: Settings, *, landing: Asset) -> DAG:
    """The DAG that takes what is asked for; an event on ``landing`` wakes it."""
    assets = Assets(settings.names)
    requested = assets.requested
    with DAG(
        settings.names.intake_dag,
        doc_md=__doc__,
        description="The clock, a dropped file or a form: who asks for partitions",
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable(settings.daily_schedule, timezone=settings.time_zone),
            assets=[landing],
        ),
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        catchup=False,
        # The next look may begin while a run shows what it rejected; two never look at once.
        max_active_runs=2,
        tags=["reloads"],
        default_args=retry_arguments(settings),
        params=request_params(table_names(settings.tables)),
    ) as dag:
        # Before the tasks of all tables: whoever dropped a file waits for the answer.
        @task(outlets=[requested], priority_weight=1000)
        def request(*, dag_run=None, params=None, outlet_events=None, **context):
            """Accept what is asked for and announce it."""
            from reloads.planning.runnable_requests import leave_out_waiting
            from reloads.runs.arrivals import answer_arrivals

            origin, ask = origin_of(dag_run), None
            at = dag_run.logical_date or dag_run.run_after
            with plain_errors(), counted_endings():
                catalog = Catalog.load(settings.tables)
                if dag_run.run_type != "asset_triggered":
                    # The clock's own runs have a form, too, in which nothing is filled in.
                    by = person_of(dag_run)
                    ask = partial(request_by_form, settings, catalog, params, at=at, origin=origin, requested_by=by)
                clock = partial(datetime.now, UTC)
                intake = collect_requests(
                    settings,
                    catalog,
                    clock=clock,
                    leave_out=leave_out_waiting,
                    ask=ask,
                    asked_at=dag_run.run_after,
                )
                is_due = dag_run.run_type != "asset_triggered"
                arrivals = answer_arrivals(settings, catalog, now=clock(), is_due=is_due)
            for announcement in (*intake.announce, *arrivals):
                outlet_events[requested].add(assets.request(announcement.table), extra=announcement.extra())
            for table in intake.untold:
                outlet_events[requested].add(assets.request(table), extra=look_again_extra(table))
            return shown_refusals(intake.refusals)

        @task(map_index_template="{{ task.op_kwargs['refusal'] }}", retries=0)
        def rejected(refusal):
            """Turn the run red, and say why."""
            raise AirflowFailException(refusal)

        rejected.expand(refusal=request())
    return dag
