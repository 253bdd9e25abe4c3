"""OpenLineage: which partitions and files a batch read and wrote, if Airflow's provider is installed and on.

The provider tells of each task that it begins and ends. It cannot know what a task reads and writes, and takes that
from the task: as an event of the same run of the task. Where the provider is missing, nothing of it is imported.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from threading import Thread
from typing import TYPE_CHECKING, Any

from reloads.errors import one_line, shorten
from reloads.outcome import Outcome
from reloads.settings import Settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset
    from openlineage.client.facet_v2 import DatasetFacet

    from reloads.runs.batch_lineage import BatchLineage, Dimensions

PATIENCE_SECONDS = 10.0
"""So long a task waits for whoever takes the event."""

log = logging.getLogger(__name__)


def emit_lineage(
    settings: Settings, table: str, batch: Mapping[str, Any], outcome: Outcome, *, ti: Any, run: str
) -> None:
    """Tell what the batch read and wrote. It fails no task, and delays none for long."""
    if not _is_on():
        return
    try:
        from airflow.providers.openlineage.api import emit_dataset_lineage

        from reloads.batch import Batch
        from reloads.runs.batch_lineage import describe_batch
        from reloads.warehouse.upgrade import open_catalog

        catalog = open_catalog(settings)
        definition = catalog.definition(table)
        lineage = describe_batch(settings, catalog, definition, Batch.from_json(batch), outcome, run=run)
        datasets = {"inputs": make_inputs(lineage), "outputs": [make_output(lineage)]}
        sending = Thread(target=emit_dataset_lineage, kwargs={**datasets, "task_instance": ti}, daemon=True)
        sending.start()
        sending.join(PATIENCE_SECONDS)
        if sending.is_alive():
            log.warning("OpenLineage took no event within %.0f s; the task goes on", PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - what was published is published, whatever is told of it
        log.warning(
            "OpenLineage is not told of the batch: %s", shorten(one_line(f"{type(error).__name__}: {error}"), 200)
        )


def _is_on() -> bool:
    try:
        if find_spec("airflow.providers.openlineage.conf") is None:
            return False
    except ModuleNotFoundError:
        return False
    from airflow.providers.openlineage.conf import is_disabled

    # The next import takes a tenth of a second, half of what a small batch takes.
    if is_disabled():
        return False
    from airflow.providers.openlineage.api import is_openlineage_active

    return is_openlineage_active()


def make_inputs(lineage: BatchLineage) -> list[InputDataset]:
    """A dataset for each table that was read, with the partitions; and one for the raw files, with these."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import base_subset_dataset as subset

    datasets: list[InputDataset] = []
    for folder, partitions in lineage.read.items():
        facet = subset.InputSubsetInputDatasetFacet(inputCondition=_partitions(partitions))
        namespace, name = _name(folder)
        datasets.append(InputDataset(namespace=namespace, name=name, inputFacets={"subset": facet}))
    if lineage.raw_files:
        condition = subset.LocationSubsetCondition(locations=list(lineage.raw_files))
        facet = subset.InputSubsetInputDatasetFacet(inputCondition=condition)
        namespace, name = _name(lineage.source)
        datasets.append(InputDataset(namespace=namespace, name=name, inputFacets={"subset": facet}))
    return datasets


def make_output(lineage: BatchLineage) -> OutputDataset:
    """The dataset of the table: the partitions that were written, rows, bytes and files, columns and checks."""
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        base_subset_dataset as subset,
    )
    from openlineage.client.facet_v2 import (
        output_statistics_output_dataset as statistics,
    )

    written = subset.OutputSubsetOutputDatasetFacet(outputCondition=_partitions(lineage.written))
    counts = statistics.OutputStatisticsOutputDatasetFacet(
        rowCount=lineage.rows, size=lineage.bytes, fileCount=lineage.files
    )
    namespace, name = _name(lineage.output)
    return OutputDataset(
        namespace=namespace,
        name=name,
        facets=_describe_table(lineage),
        outputFacets={"subset": written, "outputStatistics": counts},
    )


def _name(place: str) -> tuple[str, str]:
    """The namespace and the name that the naming of OpenLineage gives a folder, or what lies in a bucket."""
    scheme, is_url, below = place.partition("://")
    if not is_url:
        return "file", place
    bucket, _, key = below.partition("/")
    return f"{scheme}://{bucket}", key or "/"


def _describe_table(lineage: BatchLineage) -> dict[str, DatasetFacet]:
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality
    from openlineage.client.facet_v2 import schema_dataset as schema

    facets: dict[str, Any] = {}
    if lineage.columns:
        fields = [schema.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in lineage.columns.items()]
        facets["schema"] = schema.SchemaDatasetFacet(fields=fields)
    assertions = [
        quality.Assertion(
            assertion="custom_sql",
            success=not checked.result,
            name=checked.check,
            severity=checked.severity,
            actual=(checked.result.found or f"{checked.violations} violations") if checked.result else None,
            expected=checked.result.expected if checked.result else None,
            description=checked.result.sentence() if checked.result else None,
        )
        for checked in lineage.checks
    ]
    if assertions:
        facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(assertions=assertions)
    return facets


def _partitions(partitions: Iterable[Dimensions]) -> Any:
    from openlineage.client.facet_v2 import base_subset_dataset as subset

    return subset.PartitionSubsetCondition(
        partitions=[subset.Partition(dimensions=dict(dimensions)) for dimensions in partitions]
    )
