"""The warehouse that workers write into, as somebody else sees it: a folder, or a bucket of an S3 server."""

from __future__ import annotations

import json
import os
import sysconfig
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet
import pytest
from obstore.store import S3Store

from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.partitions import TableFolder
from tests.integration.container_stack import ContainerStack
from tests.support.pipeline import Pipeline
from tests.support.s3_server import BUCKET, KEY, SECRET
from tests.support.warehouses import identities, keys, name_of_key, read

URL = f"s3://{BUCKET}/fleet"
SOURCE_URL = f"s3://{BUCKET}/raw"
S3_PORT = 8333
SERVE = f"/weed mini -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -s3.port={S3_PORT} -bucket={BUCKET}"
SERVE += " -admin.ui=false -webdav=false"
# A second scheduler beside the first one, as they stand on two machines.
TWO_SCHEDULERS = {
    "scheduler-2": {"extends": {"file": "docker-compose.yaml", "service": "scheduler"}, "hostname": "scheduler-2"}
}
SCHEDULERS = {"scheduler", "scheduler-2"}


class Warehouse(ABC):
    """What the tests look at."""

    @abstractmethod
    def rows(self, table: str) -> dict[str, int]:
        """The number of rows of each day."""

    @abstractmethod
    def files(self, table: str) -> object:
        """What changes of each partition when its file is put there again."""

    @abstractmethod
    def log(self, table: str) -> CommitLog:
        """The commits of the table."""

    @abstractmethod
    def is_tidy(self) -> bool:
        """Whether nothing is left of what was rewritten."""

    def changes(self, table: str) -> Counter[tuple[str, str]]:
        """How often each run changed each day, by the log."""
        counts: Counter[tuple[str, str]] = Counter()
        for commit in self.log(table).after(0):
            counts.update((commit.run, str(name.day)) for name in commit.changed_names())
        return counts


class SharedFolder(Warehouse):
    """A folder that all of them mount."""

    def __init__(self, pipe: Pipeline) -> None:
        self._pipe = pipe

    def rows(self, table: str) -> dict[str, int]:
        return self._pipe.rows(table)

    def files(self, table: str) -> object:
        return self._pipe.files(table)

    def log(self, table: str) -> CommitLog:
        return CommitLog(self._pipe.warehouse, table)

    def is_tidy(self) -> bool:
        return not self._pipe.staged()


class Bucket(Warehouse):
    """A bucket, which this machine sees as one machine more, with a mirror of its own."""

    def __init__(self, mirrors: Path) -> None:
        self._mirror = mirrors / quote(URL, safe="")

    def rows(self, table: str) -> dict[str, int]:
        folder = self._folder(table)
        days: dict[str, int] = {}
        for key in keys(folder, table):
            content = pa.BufferReader(read(folder, key))
            days[str(name_of_key(folder, key).day)] = pyarrow.parquet.read_metadata(content).num_rows
        return days

    def files(self, table: str) -> object:
        return identities(self._folder(table))

    def log(self, table: str) -> CommitLog:
        return CommitLog(self._mirror, table)

    def is_tidy(self) -> bool:
        # Each worker has a staging folder of its own, and an upload that no commit names is swept a day later.
        return True

    def _folder(self, table: str) -> TableFolder:
        return TableFolder(self._mirror, table, "day", ())


def files_of_clone(kind: str) -> dict[str, str]:
    """What the clone of the stack holds besides: workers of the second kind share a bucket, and no folder."""
    if kind == "celery":
        return {"docker-compose.override.yaml": json.dumps({"services": TWO_SCHEDULERS})}
    server = {
        "image": "${PYTHON_IMAGE:-python:3.13-slim-trixie}",
        "command": SERVE.split(),
        "environment": {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
        "volumes": [
            {
                "type": "bind",
                "source": str(Path(sysconfig.get_path("scripts"), "weed").resolve()),
                "target": "/weed",
                "read_only": True,
            },
            {"type": "volume", "target": "/data"},
        ],
        "networks": ["inside"],
    }
    # In the place of the folder that is shared; and what a worker keeps of the bucket lies in its own memory.
    nothing = {"type": "tmpfs", "target": "/opt/reloads/warehouse"}
    worker = {"volumes": [nothing], "environment": {"RELOADS_MIRRORS": "/opt/airflow/mirrors"}}
    services = {"s3": server, "edge-worker": worker, **TWO_SCHEDULERS}
    variables = aws_variables("s3")
    return {
        "docker-compose.override.yaml": json.dumps({"services": services}),
        ".local/store.env": "".join(f"{name}={value}\n" for name, value in variables.items()),
    }


def aws_variables(host: str) -> dict[str, str]:
    """What reaches the S3 server at that host."""
    return {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": f"http://{host}:{S3_PORT}",
        "AWS_REGION": "us-east-1",
    }


def deliver_into_bucket(file: Path, path: str) -> None:
    """Write a raw file there."""
    store = S3Store.from_url(SOURCE_URL, client_options={"allow_http": True})
    store.put(path, file)


def reach_bucket(stack: ContainerStack, patch: pytest.MonkeyPatch) -> None:
    """Let this process ask the server in its container."""
    networks = stack.inspect("s3")["NetworkSettings"]["Networks"]
    address = networks[f"{stack.project}_inside"]["IPAddress"]
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in aws_variables(address).items():
        patch.setenv(name, value)
