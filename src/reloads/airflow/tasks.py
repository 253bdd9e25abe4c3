"""What the tasks of all DAGs share: retries, who asked, and errors as one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError

from reloads.errors import OperatorError, ReloadsError, TableError, one_line, shorten
from reloads.requests.event_pages import LatePageError, ReadPage, RequestEvent, UnreadableEventError
from reloads.settings import Settings

SHOWN_REFUSALS = 5
"""Each is a task."""

TOLD_LOOKED_AT = 20
"""How many of the newest events are looked at for the last one of ours; anybody may emit others."""

LABEL_CHARACTERS = 240
"""Airflow's database takes 250 for the label of a mapped task (3.3.2)."""


def retry_arguments(settings: Settings) -> dict[str, Any]:
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


def person_of(dag_run: Any) -> str | None:
    """Who triggered the run, by Airflow's login; None where nobody did."""
    return getattr(dag_run, "triggering_user_name", None) or None


def request_event(event: Any) -> RequestEvent:
    """An asset event as the core reads it; its id alone would come again with a database that was lost or restored."""
    return RequestEvent(
        timestamp=event.timestamp, origin=f"event/{event.id}/{event.timestamp}", extra=event.extra or {}
    )


def event_reader(inlet_events: Any) -> ReadPage:
    """The log of the events of one asset, whose accessor is ``inlet_events``."""

    def read_page(after: datetime, limit: int, before: datetime | None = None) -> Sequence[RequestEvent]:
        try:
            return [request_event(event) for event in inlet_events.after(after).before(before).ascending().limit(limit)]
        except AirflowRuntimeError as error:
            raise _describe_failure(error) from None

    return read_page


def told_reader(inlet_events: Any) -> Callable[[], list[Any]]:
    """What the newest events of one asset, whose accessor is ``inlet_events``, call their commit."""

    def read_told() -> list[Any]:
        try:
            events = list(inlet_events.ascending(False).limit(TOLD_LOOKED_AT))
        except AirflowRuntimeError as error:
            raise _describe_failure(error) from None
        return [(event.extra or {}).get("commit") for event in events]

    return read_told


def _describe_failure(error: AirflowRuntimeError) -> OperatorError:
    detail = error.error.detail or {}
    kind, fault = detail.get("exception_type"), shorten(one_line(detail.get("message")), 200)
    if kind == "ValidationError":
        # Airflow stores an extra nested deeper than its own client reads (some 200 levels).
        return UnreadableEventError(f"Airflow's client refuses it, {fault}")
    sentence = f"the API server does not hand out events ({fault}); look at its log, it is tried again"
    return LatePageError(sentence) if kind == "ReadTimeout" else OperatorError(sentence)


def shown_refusals(sentences: Sequence[str]) -> list[str]:
    """As many as a page shows, each short enough for the label of a task, and how many more there are."""
    shown = [shorten(sentence, LABEL_CHARACTERS) for sentence in sentences[:SHOWN_REFUSALS]]
    more = len(sentences) - len(shown)
    return [*shown, f"and {more} more; reloads status --all lists them"] if more else shown


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show our errors as their one sentence.

    Those of the environment are worth another try, and those of a table folder, which may be in the middle of a
    deployment.
    """
    try:
        yield
    except (OperatorError, TableError) as error:
        raise AirflowException(str(error)) from None
    except ReloadsError as error:
        raise AirflowFailException(str(error)) from None
