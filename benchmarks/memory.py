"""The most memory that a year's reload takes, beside plain DuckDB, with a limit of 1 GB and with none of ours.

    python -m benchmarks.memory [--rounds 3]

The most that the process had at once, by the operating system's own account. Without a limit DuckDB takes four fifths
of the machine's memory if it wants to; `reloads run` gives a batch what the settings say.
"""

from __future__ import annotations

from benchmarks.child import Cost, run_command, run_python
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, FIRST_DAY, LAST_DAY, lay_out, plain_code, shift

HOME = BENCH / "memory"
LIMIT_MB = 1000
TABLES = {"sorted": ("readings", "readings"), "shuffled": ("shuffled", "shuffled_readings")}
"""By order of the rows: the raw file, and the table that reads it."""


def measure(rounds: int) -> Part:
    """The year of sorted and of shuffled rows by both, with the limit and without."""
    lay_out(HOME)
    costs: dict[str, list[Cost]] = {}
    limited = {"RELOADS_MEMORY_MB": str(LIMIT_MB), "RELOADS_TASKS_AT_ONCE": "1"}
    for number in range(1, rounds + 1):
        for order, (file, table) in TABLES.items():
            shift(HOME, number)
            for limit, variables in (("limit 1 GB", limited), ("no limit", {})):
                settings = f"set memory_limit = '{LIMIT_MB}MB'" if variables else ""
                code = plain_code(HOME, file=file, settings=settings)
                costs.setdefault(_plain(order, limit), []).append(run_python(code))
                words = ("run", table, str(FIRST_DAY), str(LAST_DAY))
                costs.setdefault(_ours(order, limit), []).append(run_command(HOME, *words, variables=variables))
    figures: list[Figure] = []
    for order in TABLES:
        for limit, most, most_ratio in (("limit 1 GB", 1.2 * LIMIT_MB, None), ("no limit", None, 1.0)):
            plain, ours = _plain(order, limit), _ours(order, limit)
            figures.append(Figure(plain, _megabytes(costs[plain]), unit="MB"))
            values = _megabytes(costs[ours])
            figures.append(Figure(ours, values, unit="MB", reference=plain, most=most, most_ratio=most_ratio))
    return Part("memory", "The most memory of a year", tuple(figures))


def _plain(order: str, limit: str) -> str:
    return f"plain COPY, {order} rows, {limit}"


def _ours(order: str, limit: str) -> str:
    return f"`reloads run`, {order} rows, {limit}"


def _megabytes(costs: list[Cost]) -> tuple[float, ...]:
    return tuple(cost.megabytes for cost in costs)


if __name__ == "__main__":
    run_alone(measure, __doc__)
