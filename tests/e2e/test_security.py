"""Who gets in without a password, and how fast passwords can be tried; tests/integration asks the containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http import HTTPStatus

import login_throttle
import pytest
from login_throttle import AT_ONCE, SECONDS

from tests.e2e.native_stack import NativeStackUnderTest
from tests.support.outsider import (
    FORGED,
    PAGES,
    ROUTES,
    answered_operations,
    ask,
    ask_status,
    assert_page_leads_to_login,
    assert_program_is_told_how_to_log_in,
    closed_operations,
    describe,
    guess_until_refused,
    log_in,
)
from tests.support.pipeline import Pipeline

DESCRIPTIONS = ("/openapi.json", "/docs", "/api/v2/version")
# Further addresses of the loopback interface, each a source of its own.
GUESSER, STRANGER = "127.0.0.2", "127.0.0.3"


@pytest.fixture(scope="module")
def operations(
    stack: NativeStackUnderTest, pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, str]]:
    environment = os.environ | {"AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow"))}
    command = [sys.executable, "-P", "-c", ROUTES]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return closed_operations(stack.url, token=pipeline.rest.token, undescribed=json.loads(printed.splitlines()[-1]))


@pytest.mark.parametrize("token", ["", FORGED], ids=["no token", "a forged one"])
def test_no_operation_but_health_and_login_answers_without_a_login(
    stack: NativeStackUnderTest, operations: list[tuple[str, str]], token: str
) -> None:
    assert answered_operations(stack.url, operations, token=token) == {}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_a_login_leads_to_the_login(stack: NativeStackUnderTest, path: str) -> None:
    assert_page_leads_to_login(stack.url, path)


@pytest.mark.parametrize("path", DESCRIPTIONS)
def test_what_the_server_says_of_itself_it_says_with_a_login_only(
    stack: NativeStackUnderTest, pipeline: Pipeline, path: str
) -> None:
    assert_program_is_told_how_to_log_in(stack.url, path)
    assert ask_status(stack.url + path, token=pipeline.rest.token) == HTTPStatus.OK


def test_health_is_told_to_everybody(stack: NativeStackUnderTest) -> None:
    answer = ask(f"{stack.url}/api/v2/monitor/health")

    assert (answer.status, json.loads(answer.text)["metadatabase"]) == (HTTPStatus.OK, {"status": "healthy"})


def test_wrong_logins_are_slowed_down_for_whoever_sends_them_and_for_nobody_else(stack: NativeStackUnderTest) -> None:
    count, refusal = guess_until_refused(lambda: log_in(stack.url, stack.user, "wrong", address=GUESSER))

    assert count >= AT_ONCE
    assert refusal.status == HTTPStatus.TOO_MANY_REQUESTS
    assert 1 <= int(refusal.headers["Retry-After"]) <= SECONDS
    assert log_in(stack.url, stack.user, stack.password).status == HTTPStatus.CREATED


def test_whoever_was_let_in_once_gets_in_beside_a_guesser_at_the_same_address(stack: NativeStackUnderTest) -> None:
    cookie = log_in(stack.url, stack.user, stack.password, address=STRANGER).headers["Set-Cookie"]
    guess_until_refused(lambda: log_in(stack.url, stack.user, "wrong", address=STRANGER))

    answer = log_in(stack.url, stack.user, stack.password, address=STRANGER, cookie=cookie)

    assert answer.status == HTTPStatus.CREATED


def test_no_password_is_taken_where_no_throttle_stands(stack: NativeStackUnderTest, pipeline: Pipeline) -> None:
    described = describe(stack.url, "/auth", token=pipeline.rest.token)["paths"]

    assert {f"/auth{path}" for path, methods in described.items() if "post" in methods} == login_throttle.PATHS
