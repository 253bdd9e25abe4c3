"""An S3 server of one's own on this machine: SeaweedFS, with a bucket ``lake``, and keys as a role gets them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

BUCKET = "lake"
KEY, SECRET = "reloads", "reloads-secret"
ROLE_KEYS = {f"role-{number}": f"role-secret-{number}" for number in range(3)}
"""The secrets of further keys: what gives a role its credentials hands out one after the other."""
PORTS = [f"{name}.{kind}" for name in ("master", "volume", "filer", "s3", "admin") for kind in ("port", "port.grpc")]
PORTS += ["s3.port.iceberg", "s3.port.lance"]


@dataclass(frozen=True)
class S3Server:
    """A server that runs."""

    endpoint: str

    def environment(self) -> Mapping[str, str]:
        """What AWS tools read."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start one, and end it."""
    home = Path(tempfile.mkdtemp())
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    command = [f"{sysconfig.get_path('scripts')}/weed", "mini", f"-dir={home}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-bucket={BUCKET}", "-admin.ui=false", "-webdav=false", f"-s3.config={_write_keys(home)}"]
    command += [f"-{name}={port}" for name, port in ports.items()]
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    try:
        endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        _wait_until_it_answers(process, endpoint, home / "log")
        yield S3Server(endpoint)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)
        for port in ports.values():
            # It puts sockets beside its ports, wherever its folder is.
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)


def _write_keys(home: Path) -> Path:
    identities: list[dict[str, object]] = []
    for key, secret in ROLE_KEYS.items():
        credentials = [{"accessKey": key, "secretKey": secret}]
        identities.append({"name": key, "credentials": credentials, "actions": ["Admin"]})
    path = home / "keys.json"
    path.write_text(json.dumps({"identities": identities}))
    return path


def use_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the environment name a profile, written into that folder, in the place of its keys."""
    keys = f"aws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    (folder / "credentials").write_text(f"[team]\n{keys}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "team")


def _wait_until_it_answers(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> None:
    store = S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    for _ in range(600):
        if process.poll() is not None:
            break
        try:
            # It answers before the bucket is there.
            list(store.list())
        except BaseError:
            Event().wait(0.1)
        else:
            return
    raise RuntimeError(f"the S3 server did not answer: {log.read_text()[-2000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
