"""What a year costs in an object store: the rows of ``benchmarks.year``, by plain DuckDB, into a folder and into S3.

    python -m benchmarks.store [--rounds 3]

The S3 server is SeaweedFS, on the same machine and the same disk, so the figures are of the requests and of what is
written twice, and not of a network. Times are seconds of a whole process; each round has other values in every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from uuid import uuid4

from benchmarks.child import Cost, run_command, run_python
from benchmarks.figures import Figure, Part
from benchmarks.print_part import run_alone
from benchmarks.readings import BENCH, FIRST_DAY, LAST_DAY, ROWS, lay_out, plain_code, shift
from tests.support.s3_server import BUCKET, s3_server

HOME = BENCH / "store"
PLAIN, FOLDER, STORE = "plain COPY", "`reloads run` into a folder", "`reloads run` into an object store"
UNCHANGED = f"{STORE}, unchanged"
FIRST_ROUND = 100
"""Other values than those that the other parts leave."""


def measure(rounds: int) -> Part:
    """A year by each way, in each of the rounds."""
    lay_out(HOME)
    costs: dict[str, list[Cost]] = {}
    with s3_server() as server:
        variables = {**server.environment(), "RELOADS_WAREHOUSE": f"s3://{BUCKET}/{uuid4().hex}"}
        # What the first one makes anew is no reload.
        nothing: Mapping[str, str] = {}
        for more in (nothing, variables):
            _run(more)
        for number in range(rounds):
            shift(HOME, FIRST_ROUND + number)
            acts: dict[str, Callable[[], Cost]] = {
                PLAIN: partial(run_python, plain_code(HOME)),
                FOLDER: partial(_run, {}),
                STORE: partial(_run, variables),
                UNCHANGED: partial(_run, variables),
            }
            for name, act in acts.items():
                costs.setdefault(name, []).append(act())
                print(f"{name}: {costs[name][-1].seconds:.1f} s", flush=True)
    figures: list[Figure] = []
    for name, some in costs.items():
        reference = "" if name == PLAIN else PLAIN
        figures.append(Figure(name, tuple(cost.seconds for cost in some), reference=reference))
    return Part("store", "A year in an object store", tuple(figures), (f"{ROWS:,} rows, 365 partitions.",))


def _run(variables: Mapping[str, str]) -> Cost:
    return run_command(HOME, "run", "readings", str(FIRST_DAY), str(LAST_DAY), variables=variables)


if __name__ == "__main__":
    run_alone(measure, __doc__)
