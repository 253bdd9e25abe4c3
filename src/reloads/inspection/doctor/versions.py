"""Are Python and the packages those that this release works with?"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from reloads.inspection.doctor.finding import Finding, good, unknown, wrong

AIRFLOW = "apache-airflow"


def examine_versions() -> Iterator[Finding]:
    """Each package that is not within the bounds that the installed release has."""
    ours = metadata("reloads")
    faults: list[Finding] = []
    if fault := _find_fault("Python", platform.python_version(), SpecifierSet(ours["Requires-Python"])):
        faults.append(wrong("versions", f"{fault}; use another Python"))
    for text in ours.get_all("Requires-Dist") or []:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate() or need.name == AIRFLOW:
            faults += _examine_package(need)
    yield from faults
    if not any(finding.level == "wrong" for finding in faults):
        yield good(
            "versions", f"reloads {ours['Version']} works with Python {platform.python_version()} and its packages"
        )


def _examine_package(need: Requirement) -> Iterator[Finding]:
    try:
        found = version(need.name)
    except PackageNotFoundError:
        if need.name == AIRFLOW:
            sentence = "Airflow is not installed beside reloads, so nothing is known of it"
            yield unknown("versions", f"{sentence}; pip install 'reloads[airflow]' where Airflow runs")
        else:
            yield wrong(
                "versions", f"{need.name} is not installed, and it has to be {need.specifier}; pip install reloads"
            )
        return
    if fault := _find_fault(need.name, found, need.specifier):
        yield wrong("versions", f"{fault}; pip install '{need.name}{need.specifier}'")


def _find_fault(name: str, found: str, bounds: SpecifierSet) -> str | None:
    return None if bounds.contains(found, prereleases=True) else f"{name} is {found}, and it has to be {bounds}"
