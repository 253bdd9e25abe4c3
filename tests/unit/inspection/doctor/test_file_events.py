"""File events: a folder that tells nothing is named, whatever the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from reloads.inspection.doctor.file_events import examine_events, find_deafness
from reloads.settings import Settings


def settings_of(home: Path, **variables: str) -> Settings:
    (home / "landing").mkdir(exist_ok=True)
    return Settings.from_environment({"RELOADS_HOME": str(home), **variables})


def test_a_file_that_is_dropped_is_heard_of(tmp_path: Path) -> None:
    assert find_deafness(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_tells_nothing_is_named(tmp_path: Path) -> None:
    # A mount tells nothing of what is written on its other side.
    fault = find_deafness(tmp_path, drop=lambda _: None, seconds=0.1)
    assert fault == f"no event came within 0.1 s of a file written to {tmp_path}"


def test_a_folder_that_cannot_be_watched_is_named(tmp_path: Path) -> None:
    fault = find_deafness(tmp_path / "nowhere")
    assert fault
    assert "cannot be watched" in fault


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs"])
def test_a_mount_on_which_others_write_is_a_warning_that_names_the_cure(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mounts"
    place = str(tmp_path / "land ing").replace(" ", "\\040")
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/export {place} {kind} rw 0 0\n")
    (tmp_path / "land ing").mkdir()
    settings = settings_of(tmp_path, RELOADS_LANDING="land ing")
    [finding] = examine_events(settings, mounts=mounts)
    assert finding.level == "warning"
    assert f"lies on {kind}, which tells nothing" in finding.sentence
    assert finding.sentence.endswith("set RELOADS_OBSERVER=polling")


def test_who_polls_needs_no_events(tmp_path: Path) -> None:
    [finding] = examine_events(settings_of(tmp_path, RELOADS_OBSERVER="polling"))
    assert finding.level == "good"
