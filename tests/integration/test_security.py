"""What somebody without a password reaches, as whom the containers run, and where the secrets are not."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import pytest

from tests.integration.container_stack import IMAGE, PROJECT, SERVICES, ContainerStack
from tests.integration.docker import docker
from tests.support.pipeline import Pipeline
from tests.support.rest import Rest

# Whether it is alive, and how to get in and out.
OPEN = {"/api/v2/monitor/health", "/execution/health", "/execution/health/ping"}
OPEN |= {"/api/v2/auth/login", "/api/v2/auth/logout", "/auth/token", "/auth/token/cli"}
REFUSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
PAGES = (
    *("/", "/dags", "/dags/request_partitions", "/assets", "/anything/else", "/docs", "/redoc", "/openapi.json"),
    *("/auth/docs", "/auth/redoc", "/auth/openapi.json"),
    *("/execution/docs", "/execution/redoc", "/execution/openapi.json", "/execution/changelog"),
)
FORGED = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."
ROUTES = """
import json
from airflow.api_fastapi.core_api.routes.ui import ui_router
from airflow.api_fastapi.execution_api.routes import execution_api_router
paths = {}
for below, router in (("", ui_router), ("/execution", execution_api_router)):
    for route in router.routes:
        paths.setdefault(below + route.path, {}).update((method.lower(), {}) for method in route.methods)
print(json.dumps({"paths": paths}))
"""
SECRETS = ("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "API_SECRET_KEY", "JWT_SECRET", "FERNET_KEY")
PIECE_BYTES = 2**20
GZIP = bytes([0x1F, 0x8B])


class _StayHere(HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        """Whereto is an answer too."""


_open = build_opener(ProxyHandler({}), _StayHere()).open


class Answer(NamedTuple):
    status: int
    location: str
    text: str


def _ask(url: str, *, method: str = "GET", token: str = "", **headers: str) -> Answer:
    headers |= {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = None if method in ("GET", "HEAD") else b"{}"
    try:
        answer = _open(Request(url, body, headers, method=method), timeout=20)
    except HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.headers.get("Location", ""), answer.read().decode("utf-8", "replace"))


def _status(url: str, *, method: str = "GET", token: str = "") -> int:
    return _ask(url, method=method, token=token).status


def _operations(description: dict[str, Any], *, below: str) -> Iterator[tuple[str, str]]:
    """Method and path of each operation, with something in the place of every parameter."""
    for path, operations in description["paths"].items():
        for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
            yield method.upper(), below + re.sub(r"{[^}]*}", "1", path)


def _undescribed(stack: ContainerStack) -> dict[str, Any]:
    """What the pages ask and what tasks report to: the server describes neither to people."""
    description: dict[str, Any] = json.loads(stack.execute("api-server", "python", "-c", ROUTES).splitlines()[-1])
    return description


@pytest.fixture(scope="module")
def operations(stack: ContainerStack, pipeline: Pipeline) -> list[tuple[str, str]]:
    """Every operation of the server but for those that are open."""

    def described(path: str) -> Any:
        return json.loads(_ask(stack.url + path, token=pipeline.rest.token).text)

    operations = {
        *_operations(described("/openapi.json"), below=""),
        *_operations(described("/auth/openapi.json"), below="/auth"),
        *_operations(_undescribed(stack), below=""),
    }
    for beginning in ("/api/v2/", "/ui/", "/auth/", "/execution/"):
        assert [path for _, path in operations if path.startswith(beginning)]
    return sorted(operation for operation in operations if operation[1] not in OPEN)


@pytest.mark.parametrize("token", ["", FORGED], ids=["no token", "a forged one"])
def test_no_operation_but_health_and_login_answers_without_a_login(
    stack: ContainerStack, operations: list[tuple[str, str]], token: str
) -> None:
    assert len(operations) > 150

    answers = {(method, path): _status(stack.url + path, method=method, token=token) for method, path in operations}

    assert {operation: status for operation, status in answers.items() if status not in REFUSED} == {}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_login_leads_to_the_login(stack: ContainerStack, path: str) -> None:
    answer = _ask(f"{stack.url}{path}?a=1&b=2", Accept="text/html", Cookie=f"_token={FORGED}")

    query = urlencode({"next": f"{path}?a=1&b=2"})
    assert (answer.status, answer.location) == (HTTPStatus.FOUND, f"/api/v2/auth/login?{query}")
    assert _ask(stack.url + answer.location).location == f"/auth/login?{query}"
    assert _status(f"{stack.url}/auth/login?{query}") == HTTPStatus.OK


def test_a_program_without_a_login_is_told_how_to_get_one(stack: ContainerStack) -> None:
    answer = _ask(f"{stack.url}/api/v2/version")

    sentence = "GET /api/v2/version needs a login; send the token of POST /auth/token as a Bearer token"
    assert (answer.status, json.loads(answer.text)) == (HTTPStatus.UNAUTHORIZED, {"detail": sentence})


def test_no_file_of_the_user_interface_is_had_without_a_login(stack: ContainerStack, pipeline: Pipeline) -> None:
    [airflow] = (find_spec("airflow") or pytest.fail("there is no Airflow here")).submodule_search_locations or []
    folder = Path(airflow) / "ui" / "dist"
    urls = [f"{stack.url}/static/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file()]

    assert {url: status for url in urls if (status := _status(url)) not in REFUSED} == {}
    assert {_status(url, token=pipeline.rest.token) for url in urls[:20]} == {HTTPStatus.OK}


def test_the_pages_and_their_scripts_are_had_with_the_cookie_of_a_login(
    stack: ContainerStack, pipeline: Pipeline
) -> None:
    cookie = f"_token={pipeline.rest.token}"
    page = _ask(f"{stack.url}/dags", Accept="text/html", Cookie=cookie)
    scripts = re.findall(r'src="\.(/static/[^"]+)"', page.text)

    assert (page.status, len(scripts)) == (HTTPStatus.OK, 1)
    assert _ask(stack.url + scripts[0], Cookie=cookie).status == HTTPStatus.OK


def test_a_login_that_ended_is_none(stack: ContainerStack) -> None:
    rest = Rest(stack.url, user="admin", password=stack.secrets["ADMIN_PASSWORD"])
    before = _status(f"{stack.url}/openapi.json", token=rest.token)

    _ask(f"{stack.url}/api/v2/auth/logout", token=rest.token)

    assert (before, _status(f"{stack.url}/openapi.json", token=rest.token)) == (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)


def test_what_tasks_report_to_is_closed_to_everybody_else(stack: ContainerStack, pipeline: Pipeline) -> None:
    url = f"{stack.url}/execution/variables/anything"

    assert {_status(url), _status(url, token=pipeline.rest.token)} <= REFUSED


@pytest.mark.parametrize(("user", "password"), [("admin", "admin"), ("airflow", "airflow")])
def test_a_wrong_password_is_refused(stack: ContainerStack, user: str, password: str) -> None:
    with pytest.raises(AssertionError, match="/auth/token is answered with 401"):
        Rest(stack.url, user=user, password=password)


@pytest.mark.parametrize("path", ["/auth/token", "/auth/token/login"])
def test_nobody_is_logged_in_without_a_password(stack: ContainerStack, path: str) -> None:
    assert _status(stack.url + path) in REFUSED


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_in_a_container_runs_as_root(stack: ContainerStack, service: str) -> None:
    uids = {line.split()[1] for line in docker("top", stack.container(service), "-eo", "pid,uid").splitlines()[1:]}
    assert uids
    assert "0" not in uids


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights_that_its_service_does_not_need(stack: ContainerStack, service: str) -> None:
    host = stack.inspect(service)["HostConfig"]

    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not host["Privileged"]
    assert host["NetworkMode"].startswith(f"{PROJECT}_")
    assert not [mount for mount in host["Mounts"] or [] if "docker.sock" in str(mount)]


def test_nothing_but_the_user_interface_is_published_and_that_to_this_machine_only(stack: ContainerStack) -> None:
    published: list[tuple[str, list[dict[str, str]]]] = []
    for service in SERVICES:
        addresses = (stack.inspect(service)["NetworkSettings"]["Ports"] or {}).values()
        published += [(service, of_port) for of_port in addresses if of_port]

    [(service, [address])] = published
    assert (service, address["HostIp"]) == ("api-server", "127.0.0.1")


def test_neither_the_image_nor_its_history_holds_a_secret(stack: ContainerStack, tmp_path: Path) -> None:
    secrets = [stack.secrets[name].encode() for name in SECRETS]
    assert min(map(len, secrets)) >= 16
    history = docker("history", "--no-trunc", IMAGE) + docker("image", "inspect", IMAGE)
    assert not [secret for secret in secrets if secret.decode() in history]

    docker("save", "--output", str(tmp_path / "image.tar"), IMAGE)
    bytes_read = 0
    with tarfile.open(tmp_path / "image.tar") as image:
        for content in filter(None, map(image.extractfile, image)):
            before = b""
            for piece in _pieces(content):
                assert not [secret for secret in secrets if secret in before + piece]
                before = piece[-max(map(len, secrets)) :]
                bytes_read += len(piece)
    (tmp_path / "image.tar").unlink()
    assert bytes_read > 100 * PIECE_BYTES


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    """What a layer holds, unpacked where the engine packs it."""
    is_packed = content.read(2) == GZIP
    content.seek(0)
    with gzip.GzipFile(fileobj=content) if is_packed else content as plain:
        while piece := plain.read(PIECE_BYTES):
            yield piece
