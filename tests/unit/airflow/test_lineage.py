"""OpenLineage: the events of the provider's own client, and nothing at all where the provider is missing or off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from openlineage.client.serde import Serde

from reloads.airflow.lineage import emit_lineage, make_inputs, make_output
from reloads.batch import Batch
from reloads.outcome import CheckResult, Outcome
from reloads.runs.batch_lineage import BatchLineage, Checked
from tests.support.chain import JANUARY, Chain

RESULT = CheckResult(check="positive", severity="error", days=JANUARY, rows=3, found="-1", expected="0")
LINEAGE = BatchLineage(
    output="/w/sales",
    written=({"day": "2025-01-01", "origin": "x"},),
    rows=10,
    bytes=200,
    files=1,
    columns={"day": "DATE", "amount": "INTEGER"},
    read={"/w/a": ({"day": "2025-01-01"}, {"day": "2025-01-02"})},
    source="/s",
    raw_files=("/s/2025-01-01.csv",),
    checks=(Checked("positive", "error", 3, RESULT), Checked("small", "warn", 0, None)),
)


def as_json(value: object) -> Any:
    return json.loads(Serde.to_json(value))


def test_what_was_written_is_a_dataset_with_its_partitions_and_counts() -> None:
    output = as_json(make_output(LINEAGE))
    assert (output["namespace"], output["name"]) == ("file", "/w/sales")
    condition = output["outputFacets"]["subset"]["outputCondition"]
    assert condition == {"type": "partition", "partitions": [{"dimensions": {"day": "2025-01-01", "origin": "x"}}]}
    statistics = output["outputFacets"]["outputStatistics"]
    assert [statistics[name] for name in ("rowCount", "size", "fileCount")] == [10, 200, 1]
    fields = output["facets"]["schema"]["fields"]
    assert [(field["name"], field["type"]) for field in fields] == [("day", "DATE"), ("amount", "INTEGER")]


def test_what_lies_in_a_bucket_is_named_by_the_bucket_and_the_key() -> None:
    stored = replace(
        LINEAGE, output="s3://lake/prefix/sales", source="s3://raw", raw_files=("s3://raw/2025-01-01.csv",), read={}
    )
    output, [files] = as_json(make_output(stored)), [as_json(each) for each in make_inputs(stored)]
    assert (output["namespace"], output["name"]) == ("s3://lake", "prefix/sales")
    assert (files["namespace"], files["name"]) == ("s3://raw", "/")


def test_each_check_is_an_assertion() -> None:
    positive, small = as_json(make_output(LINEAGE))["facets"]["dataQualityAssertions"]["assertions"]
    assert (positive["name"], positive["success"], positive["severity"]) == ("positive", False, "error")
    assert (positive["actual"], positive["expected"]) == ("-1", "0")
    assert (small["name"], small["success"], small["severity"]) == ("small", True, "warn")


def test_what_was_read_is_a_dataset_for_each_table_and_one_for_the_raw_files() -> None:
    table, files = (as_json(each) for each in make_inputs(LINEAGE))
    partitions = [{"dimensions": {"day": "2025-01-01"}}, {"dimensions": {"day": "2025-01-02"}}]
    assert table["name"] == "/w/a"
    assert table["inputFacets"]["subset"]["inputCondition"] == {"type": "partition", "partitions": partitions}
    assert files["name"] == "/s"
    condition = files["inputFacets"]["subset"]["inputCondition"]
    assert condition == {"type": "location", "locations": ["/s/2025-01-01.csv"]}


WITHOUT_PROVIDER = """
import sys
from dataclasses import replace
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("airflow.providers.openlineage", "openlineage")):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from reloads.airflow.lineage import emit_lineage
emit_lineage(None, "a", {}, None, ti=None, run="run/1")
print([name for name in sys.modules if "openlineage" in name])
"""


def test_without_the_provider_nothing_of_it_is_imported() -> None:
    command = [sys.executable, "-c", WITHOUT_PROVIDER]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "[]"


WITH_PROVIDER_OFF = """
import sys
from dataclasses import replace
from reloads.airflow.lineage import emit_lineage
emit_lineage(None, "a", {}, None, ti=None, run="run/1")
print([name for name in sys.modules if name.startswith("openlineage.client")])
"""


def test_where_nobody_listens_the_client_is_not_imported() -> None:
    off = os.environ | {"AIRFLOW__OPENLINEAGE__DISABLED": "True"}
    command = [sys.executable, "-c", WITH_PROVIDER_OFF]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=off).stdout
    assert said.splitlines()[-1] == "[]"


def test_where_the_provider_is_off_nothing_is_looked_at(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__DISABLED", "True")
    emit_lineage(chain.settings, "nowhere", {}, Outcome(), ti=None, run="run/1")
    assert "OpenLineage is not told" not in caplog.text


def test_trouble_with_lineage_is_a_line_in_the_log(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__DISABLED", "False")
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    emit_lineage(chain.settings, "nowhere", Batch(JANUARY).to_json(), Outcome(), ti=None, run="run/1")
    assert "OpenLineage is not told of the batch" in caplog.text
