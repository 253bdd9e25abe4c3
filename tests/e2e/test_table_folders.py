"""Table folders that come, go wrong and are mended while everything runs."""

from __future__ import annotations

from tests.support.pipeline import Pipeline
from tests.support.tables import PLAIN, ROWS_A_DAY, ScenarioTable, write_query, write_table


def test_a_new_table_appears_by_itself_and_a_broken_one_is_an_import_error_until_it_is_mended(
    pipeline: Pipeline,
) -> None:
    write_table(pipeline.tables, "added", ScenarioTable())
    write_table(pipeline.tables, "broken", ScenarioTable(PLAIN.replace("number, 10", "numbr, 10")))

    [error] = pipeline.wait_for("the import error of the broken table", lambda: _errors_of(pipeline, "broken"))
    assert "tables/broken/query.sql" in error
    assert "numbr" in error
    assert "Traceback" not in error
    assert 'File "' not in error
    pipeline.drop("added.json", table=["added", "left"], start_date="2024-11-01")
    pipeline.wait_for_done("added.json", records=2)
    assert pipeline.rows("added") == {"2024-11-01": ROWS_A_DAY}

    write_query(pipeline.tables, "broken", PLAIN)
    pipeline.drop("mended.json", table="broken", start_date="2024-11-01")
    pipeline.wait_for_done("mended.json")
    pipeline.wait_for("the import error to go", lambda: not _errors_of(pipeline, "broken"))
    assert pipeline.rows("broken") == {"2024-11-01": ROWS_A_DAY}


def _errors_of(pipeline: Pipeline, table: str) -> list[str]:
    errors = pipeline.rest.get("/importErrors", limit=100)["import_errors"]
    return [error["stack_trace"] for error in errors if table in error["stack_trace"]]
