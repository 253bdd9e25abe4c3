"""What Airflow sees of this package: the assets, and errors as tasks show them. No other module imports Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from reloads.errors import OperatorError, ReloadsError
from reloads.events import RequestEvent
from reloads.settings import Settings

REQUESTED = AssetAlias("requested", group="reloads")
"""Through it one task emits as many events on as many ``requested/<table>`` assets as it needs."""


def requested(table: str) -> Asset:
    """An event on it asks for the days that its extra names: ``start_date`` and ``end_date``."""
    return Asset(f"requested/{table}", group="reloads")


def published(table: str) -> Asset:
    """An event on it says that partitions of the table were published; its extra names them."""
    return Asset(f"warehouse/{table}", group="reloads")


def rewritten(table: str) -> AssetAlias:
    """Through it the last task of a run says what was published, and wakes the next run if something is left."""
    return AssetAlias(f"rewritten/{table}", group="reloads")


def retried(settings: Settings) -> dict[str, Any]:
    """The ``default_args`` of a DAG whose tasks are tried again, after 10 s, 20 s, 40 s … up to five minutes."""
    return {
        "retries": settings.retries,
        "retry_delay": timedelta(seconds=10),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=5),
    }


def origin_of(dag_run: Any) -> str:
    """What identifies an act of asking: the same for a retry of the task, another one when its run is cleared."""
    return f"{dag_run.dag_id}/{dag_run.run_id}/{getattr(dag_run, 'clear_number', 0) or 0}"


def request_event(event: Any) -> RequestEvent:
    """An asset event as the core reads it; its id alone would come again with a database that was lost or restored."""
    return RequestEvent(
        timestamp=event.timestamp, origin=f"event/{event.id}/{event.timestamp}", extra=event.extra or {}
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show our errors as their one sentence; only those of the environment are worth another try."""
    try:
        yield
    except OperatorError as error:
        raise AirflowException(str(error)) from None
    except ReloadsError as error:
        raise AirflowFailException(str(error)) from None
