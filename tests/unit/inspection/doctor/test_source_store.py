"""The doctor of a deployment whose raw files are in a bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.inspection.doctor.finding import Finding
from reloads.inspection.doctor.folders import examine_folders
from reloads.settings import Settings
from tests.support.raw_bucket import RawBucket
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_server import S3Server


def examine(home: Path, url: str) -> Finding:
    for name in ("landing", "warehouse", "tables"):
        (home / name).mkdir()
    (home / "tables" / "sources.sql").touch()
    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_SOURCE": url})
    [finding] = [each for each in examine_folders(settings) if each.about == "source store"]
    return finding


def test_a_bucket_with_files_is_good(tmp_path: Path, s3: S3Server) -> None:
    assert s3.endpoint
    raw = RawBucket()
    raw.put("a/b.csv")
    finding = examine(tmp_path, raw.url)
    assert (finding.level, finding.sentence) == ("good", f"{raw.url} can be listed")


def test_a_place_without_files_is_wrong(tmp_path: Path, s3: S3Server) -> None:
    assert s3.endpoint
    raw = RawBucket()
    finding = examine(tmp_path, raw.url)
    assert finding.level == "wrong"
    assert finding.sentence == f"nothing lies below {raw.url}; see that RELOADS_SOURCE is the place of the raw files"


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_refuses_is_wrong(tmp_path: Path, proxy: S3Proxy, status: int) -> None:
    raw = RawBucket()
    proxy.fault = lambda _: status
    finding = examine(tmp_path, raw.url)
    assert finding.level == "wrong"
    assert finding.sentence.startswith(raw.url)
    assert "\n" not in finding.sentence
