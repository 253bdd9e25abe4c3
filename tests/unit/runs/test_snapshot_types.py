"""What Delta Lake cannot hold is refused before anything is published."""

from __future__ import annotations

import pytest

from reloads.errors import TableError
from reloads.inspection.check_tables import check_tables
from tests.support.chain import Chain

SETTINGS = 'snapshots = "delta"'


@pytest.mark.parametrize(
    ("expression", "type_name"),
    [
        ("time '10:00'", "TIME"),
        ("uuid()", "UUID"),
        ("'{}'::json", "JSON"),
        ("1::ubigint", "UBIGINT"),
        ("timestamp_ns '2025-01-01 10:00:00'", "TIMESTAMP_NS"),
        ("[time '10:00']", "TIME"),
    ],
)
def test_a_type_that_delta_cannot_hold_is_an_error_of_check_and_of_a_run(
    chain: Chain, expression: str, type_name: str
) -> None:
    chain.define("a", f"select day, {expression} as amount from raw", SETTINGS)
    chain.define("b", "select day, 1 as twice from raw")
    chain.define("c", "select day, 1 as week from raw")
    sentence = f"Delta Lake cannot hold {type_name}; cast it to"
    with pytest.raises(TableError, match=sentence):
        check_tables(chain.settings)
    chain.ask("a", "2025-01-01", "2025-01-02")
    chain.run("a")
    [record] = chain.queue.records("failed")
    assert sentence in record.failed[0].error
    chain.define("a", f"select day, {expression} as amount from raw")
    check_tables(chain.settings)
