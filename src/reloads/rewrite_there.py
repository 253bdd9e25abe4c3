"""A batch in another environment: the other end of ``environment.call_there``, run as ``python -m``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reloads.batch_run import rewrite_here
from reloads.elsewhere import answer
from reloads.settings import Settings
from reloads.table_run import Batch


def rewrite(value: dict[str, Any]) -> dict[str, Any]:
    """Rewrite the batch that ``value`` describes; its outcome."""
    outcome = rewrite_here(
        Settings.model_validate(value["settings"]),
        value["table"],
        Batch.from_json(value["batch"]),
        run=value["run"],
        now=datetime.fromisoformat(value["now"]),
    )
    return outcome.to_json()


if __name__ == "__main__":
    answer(rewrite)
