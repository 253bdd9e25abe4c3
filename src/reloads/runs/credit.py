"""Credit: what each request is told of a run. It is told of what was planned for it, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reloads.batch import Batch
from reloads.outcome import Failure, Outcome


def complete_outcomes(batches: Sequence[Batch], outcomes: Iterable[Outcome], *, run: str) -> list[Outcome]:
    """The outcome of each batch, which says of every day of the batch what became of it.

    Days of which no task said anything (it was killed, and so were its retries) count as failed.
    """
    outcome_by_batch = {outcome.batch: outcome for outcome in outcomes}
    completed: list[Outcome] = []
    for batch in batches:
        outcome = outcome_by_batch.get(batch.number, Outcome(batch=batch.number))
        silent_days = batch.days - outcome.days
        if silent_days:
            error = f"the task ended without a result, it was killed or stopped; read its log in the run {run}"
            failure = Failure(days=silent_days, error=error, transient=True)
            outcome = outcome.model_copy(update={"failed": (*outcome.failed, failure)})
        completed.append(outcome)
    return completed


def credit_requests(batches: Sequence[Batch], outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """What came of each request, by its id: for each batch, of the days that the batch had for it.

    ``outcomes`` are those of the batches, in the same order. A day of a request that was cut into several batches is
    done once all of them did it.
    """
    outcome_by_request: dict[str, Outcome] = {}
    for batch, outcome in zip(batches, outcomes, strict=True):
        for request, days in batch.requests.items():
            outcome_by_request[request] = outcome_by_request.get(request, Outcome()) + outcome.of_days(days)
    return outcome_by_request
