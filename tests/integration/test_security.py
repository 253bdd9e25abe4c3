"""What somebody without a password reaches, as whom the containers run, and where the secrets are not."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.e2e.rest import Rest
from tests.integration.docker import docker
from tests.integration.pipeline import Pipeline
from tests.integration.stack import IMAGE, PROJECT, SERVICES, Stack

# Whether it is alive, which version it is, and how to get in and out.
OPEN = {"/api/v2/monitor/health", "/api/v2/version", "/api/v2/auth/login", "/api/v2/auth/logout"}
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
SECRETS = ("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "API_SECRET_KEY", "JWT_SECRET", "FERNET_KEY")
PIECE_BYTES = 2**20
GZIP = bytes([0x1F, 0x8B])
_open = build_opener(ProxyHandler({})).open


def _status(url: str, *, method: str = "GET", token: str = "") -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = None if method in ("GET", "HEAD") else b"{}"
    try:
        with _open(Request(url, body, headers, method=method), timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Method and path of each operation, with something in the place of every parameter."""
    for path, operations in description["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            yield method.upper(), re.sub(r"{[^}]*}", "1", path)


@pytest.mark.parametrize("token", ["", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."], ids=["no token", "a forged one"])
def test_no_documented_operation_but_health_and_login_answers_without_a_login(stack: Stack, token: str) -> None:
    with _open(f"{stack.url}/openapi.json", timeout=20) as answer:
        operations = [(method, path) for method, path in _operations(json.load(answer)) if path not in OPEN]
    assert len(operations) > 100

    answers = {(method, path): _status(stack.url + path, method=method, token=token) for method, path in operations}

    assert {operation: status for operation, status in answers.items() if status not in REFUSED} == {}


def test_what_tasks_report_to_is_closed_to_everybody_else(stack: Stack, pipeline: Pipeline) -> None:
    url = f"{stack.url}/execution/variables/anything"

    assert {_status(url), _status(url, token=pipeline.rest._token)} <= REFUSED


@pytest.mark.parametrize(("user", "password"), [("admin", "admin"), ("airflow", "airflow")])
def test_a_wrong_password_is_refused(stack: Stack, user: str, password: str) -> None:
    with pytest.raises(AssertionError, match="/auth/token is answered with 401"):
        Rest(stack.url, user=user, password=password)


@pytest.mark.parametrize("path", ["/auth/token", "/auth/token/login"])
def test_nobody_is_logged_in_without_a_password(stack: Stack, path: str) -> None:
    assert _status(stack.url + path) in REFUSED


def test_pages_without_a_login_hold_nothing_of_what_is_in_the_pipeline(stack: Stack, pipeline: Pipeline) -> None:
    pages = [_open(f"{stack.url}{path}", timeout=20).read() for path in ("/", "/dags", "/assets", "/auth/login")]

    for word in (b"request_partitions", *(f"rewrite_{folder.name}".encode() for folder in pipeline.tables.iterdir())):
        assert not [page for page in pages if word in page]


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_in_a_container_runs_as_root(stack: Stack, service: str) -> None:
    uids = {line.split()[1] for line in docker("top", stack.container(service), "-eo", "pid,uid").splitlines()[1:]}
    assert uids
    assert "0" not in uids


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights_that_its_service_does_not_need(stack: Stack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]

    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not host["Privileged"]
    assert host["NetworkMode"].startswith(f"{PROJECT}_")
    assert not [mount for mount in host["Mounts"] or [] if "docker.sock" in str(mount)]


def test_nothing_but_the_user_interface_is_published_and_that_to_this_machine_only(stack: Stack) -> None:
    ports = {service: stack.inspect(service)["NetworkSettings"]["Ports"] for service in SERVICES}
    published = [(service, given) for service in SERVICES for given in (ports[service] or {}).values() if given]

    [(service, [address])] = published
    assert (service, address["HostIp"]) == ("api-server", "127.0.0.1")


def test_neither_the_image_nor_its_history_holds_a_secret(stack: Stack, tmp_path: Path) -> None:
    secrets = [stack.secrets[name].encode() for name in SECRETS]
    assert min(map(len, secrets)) >= 16
    history = docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)
    assert not [secret for secret in secrets if secret.decode() in history]

    docker("save", "--output", str(tmp_path / "image.tar"), IMAGE)
    seen = 0
    with tarfile.open(tmp_path / "image.tar") as image:
        for content in filter(None, map(image.extractfile, image)):
            before = b""
            for piece in _pieces(content):
                assert not [secret for secret in secrets if secret in before + piece]
                before = piece[-max(map(len, secrets)) :]
                seen += len(piece)
    (tmp_path / "image.tar").unlink()
    assert seen > 100 * PIECE_BYTES


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    """What a layer holds, unpacked where the engine packs it."""
    is_packed = content.read(2) == GZIP
    content.seek(0)
    with gzip.GzipFile(fileobj=content) if is_packed else content as plain:
        while piece := plain.read(PIECE_BYTES):
            yield piece
