"""Tables in a folder and in an object store, and what a reader sees of either who knows nothing of this software."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from obstore.store import S3Store

from reloads.stores.address import store_url
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder
from tests.support.process_kill import SCRATCH
from tests.support.s3_server import BUCKET

TABLE = "sales"


def warehouse(home: Path, kind: str) -> Path:
    """An empty warehouse: a folder, or the mirror of a prefix of its own in the bucket."""
    if kind == "folder":
        return home
    return home / quote(f"s3://{BUCKET}/{uuid4().hex}", safe="")


def on_machine(folder: TableFolder, machine: str) -> TableFolder:
    """The table in the same store, as another machine has it."""
    mirror = folder.warehouse.parent / machine / folder.warehouse.name
    return TableFolder(mirror, folder.table, folder.day_column, folder.keys)


@contextmanager
def table(kind: str, keys: tuple[str, ...] = ()) -> Iterator[TableFolder]:
    """A table by day and these keys; of either kind its files hold whatever text is published."""
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        yield TableFolder(warehouse(home, kind), TABLE, "day", keys)
    finally:
        shutil.rmtree(home)


def shown(folder: TableFolder) -> dict[PartitionName, str]:
    """What a plain reader sees in the table's folder, or below its prefix in the store."""
    if not store_url(folder.warehouse):
        return {name: path.read_text() for name, path in folder.published().items()}
    return {name_of_key(folder, key): read(folder, key).decode() for key in keys(folder, folder.table)}


def identities(folder: TableFolder) -> dict[PartitionName, tuple[object, ...]]:
    """What changes if a file is put in the place of another, even an equal one."""
    if not store_url(folder.warehouse):
        files = folder.published().items()
        return {name: (path.stat().st_ino, path.stat().st_mtime_ns) for name, path in files}
    listed = list_objects(folder, folder.table)
    return {name_of_key(folder, str(each["path"])): (each["e_tag"], each["last_modified"]) for each in listed}


def name_of_key(folder: TableFolder, key: str) -> PartitionName:
    return PartitionName.parse(key.removeprefix(f"{folder.table}/").removesuffix("/data.parquet"))


def client(folder: TableFolder) -> S3Store:
    """Another client than the one that is tested."""
    return _client_of(prefix_of(folder), os.environ["AWS_ENDPOINT_URL"])


# Each takes longer to make than a file takes to read.
@lru_cache(maxsize=100)
def _client_of(prefix: str, endpoint: str) -> S3Store:
    is_plain = endpoint.startswith("http:")
    return S3Store(BUCKET, prefix=prefix, endpoint=endpoint, client_options={"allow_http": is_plain})


def prefix_of(folder: TableFolder) -> str:
    """Below which key of the bucket the warehouse lies."""
    return str(store_url(folder.warehouse)).removeprefix(f"s3://{BUCKET}/")


def read_all(folder: TableFolder) -> dict[str, bytes]:
    """All objects of the warehouse."""
    return {key: read(folder, key) for key in all_keys(folder)}


def read(folder: TableFolder, key: str) -> bytes:
    return bytes(client(folder).get(key).bytes())


def list_objects(folder: TableFolder, prefix: str) -> list[dict[str, object]]:
    return [dict(each) for page in client(folder).list(prefix) for each in page]


def all_keys(folder: TableFolder) -> list[str]:
    """The keys of all objects of the warehouse."""
    tables = {key.split("/")[1] for key in keys(folder, ".log")}
    # The server that is tested with lists nothing below ``.versions`` but by the names below that.
    return sorted({*keys(folder, ""), *(key for table in tables for key in keys(folder, f".versions/{table}"))})


def keys(folder: TableFolder, prefix: str) -> list[str]:
    """The keys of the objects below that prefix."""
    return sorted(str(each["path"]) for each in list_objects(folder, prefix))
