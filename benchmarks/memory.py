"""The most memory that a year's reload takes with a limit of 1 GB, beside plain DuckDB with the same.

    python -m benchmarks.memory [--rounds 3]

The most that the process had at once, by the operating system's own account. What it is without a limit, `year` says,
by the same processes that it times.
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
    """The year of sorted and of shuffled rows by both."""
    lay_out(HOME)
    figures: list[Figure] = []
    plain: dict[str, list[Cost]] = {order: [] for order in TABLES}
    ours: dict[str, list[Cost]] = {order: [] for order in TABLES}
    variables = {"RELOADS_MEMORY_MB": str(LIMIT_MB), "RELOADS_TASKS_AT_ONCE": "1"}
    for number in range(1, rounds + 1):
        for order, (file, table) in TABLES.items():
            shift(HOME, number)
            code = plain_code(HOME, file=file, settings=f"set memory_limit = '{LIMIT_MB}MB'")
            plain[order].append(run_python(code))
            ours[order].append(run_command(HOME, "run", table, str(FIRST_DAY), str(LAST_DAY), variables=variables))
    for order in TABLES:
        reference = f"plain COPY, {order} rows, limit 1 GB"
        figures.append(Figure(reference, _megabytes(plain[order]), "MB"))
        name = f"`reloads run`, {order} rows, limit 1 GB"
        figures.append(Figure(name, _megabytes(ours[order]), "MB", reference, most=1.2 * LIMIT_MB))
    return Part("memory", "The most memory of a year with a limit", tuple(figures))


def _megabytes(costs: list[Cost]) -> tuple[float, ...]:
    return tuple(cost.megabytes for cost in costs)


if __name__ == "__main__":
    run_alone(measure, __doc__)
