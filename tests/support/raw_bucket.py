"""A place in the bucket of the tests for the raw files of one of them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from obstore.store import S3Store

from tests.support.s3_server import BUCKET


class RawBucket:
    """Raw files in the bucket of the server that the environment names."""

    def __init__(self) -> None:
        prefix = f"raw-{uuid4().hex}"
        self.url = f"s3://{BUCKET}/{prefix}"
        self.folder = Path("/mirrors", quote(self.url, safe=""))
        """The folder that stands for it in the settings."""
        self._client = S3Store(BUCKET, prefix=prefix, client_options={"allow_http": True})

    def put(self, *paths: str, text: str = "x") -> None:
        """Write these files."""
        for path in paths:
            self._client.put(path, text.encode())

    def read(self, path: str) -> str:
        """What the file holds."""
        return bytes(self._client.get(path).bytes()).decode()

    def remove(self, path: str) -> None:
        """Remove the file."""
        self._client.delete(path)

    def list(self, folder: str) -> list[str]:
        """The files below the folder."""
        return [each["path"] for page in self._client.list(folder) for each in page]
