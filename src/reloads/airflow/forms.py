"""The forms of *Trigger*: the fields that matter first, the others in a section that is closed."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param

from reloads.requests.form import MODES

MORE = "More: keys, parameters, missing or stale only"


def request_params(tables: Sequence[str] | None = None) -> dict[str, Param]:
    """The fields of a request; ``tables`` are those to choose from, where the DAG is not of one table."""
    table = {"table": _table_param(tables)} if tables is not None else {}
    mode = {"mode": _mode_param()} if tables is not None else {}
    return {
        **table,
        "start_date": Param(None, type=["null", "string"], format="date", title="First day"),
        "end_date": Param(
            None, type=["null", "string"], format="date", title="Last day", description="Included; empty: the first day"
        ),
        "reason": Param(None, type=["null", "string"], maxLength=1000, title="Reason"),
        "only": Param("all", enum=["all", "missing", "stale"], title="Only the partitions that are", section=MORE),
        "keys": Param({}, type=["null", "object"], title='Keys, like {"origin": ["EWR"]}', section=MORE),
        "parameters": Param({}, type=["null", "object"], title="Parameters of the table", section=MORE),
        "cascade": Param(True, type="boolean", title="The tables that read it follow", section=MORE),
        **mode,
    }


def _table_param(tables: Sequence[str]) -> Param:
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *tables],
        values_display={"null": "none: what the clock does, yesterday of all daily tables"},
        title="Table",
    )


def _mode_param() -> Param:
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *MODES],
        values_display={"null": "as filled in"},
        title="Mode, for scripts",
        section=MORE,
    )
