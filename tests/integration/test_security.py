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
from typing import IO

import pytest
from login_throttle import SECONDS

from tests.integration.container_stack import IMAGE, PROJECT, SERVICES, ContainerStack
from tests.integration.docker import docker
from tests.support.outsider import (
    FORGED,
    PAGES,
    REFUSED,
    ROUTES,
    answered_operations,
    ask,
    ask_status,
    assert_page_leads_to_login,
    assert_program_is_told_how_to_log_in,
    closed_operations,
    guess_until_refused,
    log_in,
)
from tests.support.pipeline import Pipeline
from tests.support.rest import Rest

SECRETS = ("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "API_SECRET_KEY", "JWT_SECRET", "FERNET_KEY")
PIECE_BYTES = 2**20
GZIP = bytes([0x1F, 0x8B])


@pytest.fixture(scope="module")
def operations(stack: ContainerStack, pipeline: Pipeline) -> list[tuple[str, str]]:
    undescribed = json.loads(stack.execute("api-server", "python", "-c", ROUTES).splitlines()[-1])
    return closed_operations(stack.url, token=pipeline.rest.token, undescribed=undescribed)


@pytest.mark.parametrize("token", ["", FORGED], ids=["no token", "a forged one"])
def test_no_operation_but_health_and_login_answers_without_a_login(
    stack: ContainerStack, operations: list[tuple[str, str]], token: str
) -> None:
    assert answered_operations(stack.url, operations, token=token) == {}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_login_leads_to_the_login(stack: ContainerStack, path: str) -> None:
    assert_page_leads_to_login(stack.url, path)


def test_a_program_without_a_login_is_told_how_to_get_one(stack: ContainerStack) -> None:
    assert_program_is_told_how_to_log_in(stack.url, "/api/v2/version")


def test_no_file_of_the_user_interface_is_had_without_a_login(stack: ContainerStack, pipeline: Pipeline) -> None:
    [airflow] = (find_spec("airflow") or pytest.fail("there is no Airflow here")).submodule_search_locations or []
    folder = Path(airflow) / "ui" / "dist"
    urls = [f"{stack.url}/static/{file.relative_to(folder)}" for file in folder.rglob("*") if file.is_file()]

    assert {url: status for url in urls if (status := ask_status(url)) not in REFUSED} == {}
    assert {ask_status(url, token=pipeline.rest.token) for url in urls[:20]} == {HTTPStatus.OK}


def test_the_pages_and_their_scripts_are_had_with_the_cookie_of_a_login(
    stack: ContainerStack, pipeline: Pipeline
) -> None:
    cookie = f"_token={pipeline.rest.token}"
    page = ask(f"{stack.url}/dags", Accept="text/html", Cookie=cookie)
    scripts = re.findall(r'src="\.(/static/[^"]+)"', page.text)

    assert (page.status, len(scripts)) == (HTTPStatus.OK, 1)
    assert ask(stack.url + scripts[0], Cookie=cookie).status == HTTPStatus.OK


def test_a_login_that_ended_is_none(stack: ContainerStack) -> None:
    rest = Rest(stack.url, user="admin", password=stack.secrets["ADMIN_PASSWORD"])
    url = f"{stack.url}/openapi.json"
    before = ask_status(url, token=rest.token)

    ask(f"{stack.url}/api/v2/auth/logout", token=rest.token)

    assert (before, ask_status(url, token=rest.token)) == (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)


def test_what_tasks_report_to_is_closed_to_everybody_else(stack: ContainerStack, pipeline: Pipeline) -> None:
    url = f"{stack.url}/execution/variables/anything"

    assert {ask_status(url), ask_status(url, token=pipeline.rest.token)} <= REFUSED


@pytest.mark.parametrize(("user", "password"), [("admin", "admin"), ("airflow", "airflow")])
def test_a_wrong_password_is_refused(stack: ContainerStack, user: str, password: str) -> None:
    with pytest.raises(AssertionError, match="/auth/token is answered with 401"):
        Rest(stack.url, user=user, password=password)


@pytest.mark.parametrize("path", ["/auth/token", "/auth/token/login"])
def test_nobody_is_logged_in_without_a_password(stack: ContainerStack, path: str) -> None:
    assert ask_status(stack.url + path) in REFUSED


def test_wrong_logins_are_slowed_down_but_not_for_a_browser_that_was_let_in(
    stack: ContainerStack, pipeline: Pipeline
) -> None:
    cookie = log_in(stack.url, stack.user, stack.password).headers["Set-Cookie"]

    _, refusal = guess_until_refused(lambda: log_in(stack.url, stack.user, "wrong"))

    assert refusal.status == HTTPStatus.TOO_MANY_REQUESTS
    assert 1 <= int(refusal.headers["Retry-After"]) <= SECONDS
    assert log_in(stack.url, stack.user, stack.password, cookie=cookie).status == HTTPStatus.CREATED

    # All tests have one address here, so those that follow need their turn.
    def is_let_in() -> bool:
        return log_in(stack.url, stack.user, stack.password).status == HTTPStatus.CREATED

    pipeline.wait_for("the login of somebody else", is_let_in)


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
