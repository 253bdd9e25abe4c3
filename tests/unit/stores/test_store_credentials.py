"""The credentials for an object store that nobody wrote down: those of the role of a container or an instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from reloads.errors import OperatorError
from reloads.stores.credentials import keys_for_now
from reloads.stores.object_store import ObjectStore
from tests.support.role_service import CONTAINER, INSTANCE, TOKEN, RoleService, role_service
from tests.support.s3_proxy import Request, S3Proxy
from tests.support.s3_server import BUCKET, KEY, ROLE_KEYS

CURE = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine a role"
NOWHERE = "the environment has none, and neither a profile nor a role gives any"
ABOUT_TO_EXPIRE = timedelta(minutes=1)
"""Nobody uses a set any more that has less than ten minutes left."""


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")


@pytest.fixture
def bare(proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nobody has written down any credentials."""
    assert proxy.endpoint
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))


@pytest.fixture
def service() -> Iterator[RoleService]:
    with role_service() as running:
        yield running


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


@pytest.fixture
def container(service: RoleService, bare: None, token_file: Path, monkeypatch: pytest.MonkeyPatch) -> RoleService:
    assert bare is None
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.endpoint}{CONTAINER}")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token_file))
    return service


@pytest.fixture
def instance(service: RoleService, bare: None, monkeypatch: pytest.MonkeyPatch) -> RoleService:
    assert bare is None
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.endpoint)
    return service


@pytest.fixture(params=["container", "instance"])
def role(request: pytest.FixtureRequest) -> RoleService:
    service = request.getfixturevalue(request.param)
    assert isinstance(service, RoleService)
    return service


def signed_with(request: Request) -> str:
    return request.headers["authorization"].partition("Credential=")[2].partition("/")[0]


def refusal(store: ObjectStore) -> str:
    # By a read, which takes an object that is not there for none.
    with pytest.raises(OperatorError) as caught:
        store.read("a")
    return str(caught.value)


def use(store: ObjectStore) -> None:
    store.write("a", b"rows")
    content = store.read("a")
    assert content is not None
    assert content.data == b"rows"


def test_the_role_of_a_container_opens_the_store_and_is_asked_for_once(
    container: RoleService, store: ObjectStore, proxy: S3Proxy
) -> None:
    use(store)
    assert {signed_with(request) for request in proxy.requests} == {container.key}
    assert container.requests == [f"GET {CONTAINER}"]


def test_the_role_of_an_instance_opens_the_store_and_is_asked_for_once(
    instance: RoleService, store: ObjectStore, proxy: S3Proxy
) -> None:
    use(store)
    assert {signed_with(request) for request in proxy.requests} == {instance.key}
    assert instance.requests == ["PUT /latest/api/token", f"GET {INSTANCE}", f"GET {INSTANCE}loads"]


def test_the_token_of_a_set_is_sent_with_it(role: RoleService, store: ObjectStore, proxy: S3Proxy) -> None:
    # Our server knows of no such tokens.
    role.session_token = "of-the-session"
    assert "refuses access" in refusal(store)
    assert [request.headers["x-amz-security-token"] for request in proxy.requests] == ["of-the-session"]


def test_a_set_that_expired_is_not_used(role: RoleService, store: ObjectStore, proxy: S3Proxy, tmp_path: Path) -> None:
    role.lifetime = ABOUT_TO_EXPIRE
    proxy.fault = lambda request: None if signed_with(request) == role.key else 403
    use(store)
    role.renew()
    use(store)
    role.renew()
    (tmp_path / "file").write_bytes(b"rows")
    store.upload({f"many/{number}": tmp_path / "file" for number in range(20)})
    assert len(list(store.look("many"))) == 20


def test_who_is_given_keys_gets_those_that_hold(role: RoleService, store: ObjectStore) -> None:
    role.lifetime, role.session_token = ABOUT_TO_EXPIRE, "of-the-session"
    for _ in range(2):
        keys = {"AWS_ACCESS_KEY_ID": role.key, "AWS_SECRET_ACCESS_KEY": ROLE_KEYS[role.key]}
        assert keys_for_now(store.url) == {**keys, "AWS_SESSION_TOKEN": "of-the-session"}
        role.renew()
    role.status = 404
    with pytest.raises(OperatorError, match=r"needs credentials, and there are none \("):
        keys_for_now(store.url)


def test_while_a_set_holds_its_service_may_be_down(role: RoleService, store: ObjectStore) -> None:
    use(store)
    role.status = 500
    use(store)


def test_a_set_that_cannot_be_renewed_is_told_in_a_sentence_and_one_that_comes_later_is_used(
    role: RoleService, store: ObjectStore, proxy: S3Proxy, capfd: pytest.CaptureFixture[str]
) -> None:
    role.lifetime = ABOUT_TO_EXPIRE
    use(store)
    proxy.requests.clear()
    role.status = 500
    sentence = refusal(store)
    assert sentence.startswith(f"{store.url} needs credentials, and there are none (")
    assert sentence.endswith(f"); {CURE}")
    assert "\n" not in sentence
    assert proxy.requests == []
    assert capfd.readouterr() == ("", "")
    role.status = 200
    use(store)


def test_a_container_whose_service_is_down_is_told_in_a_sentence(container: RoleService, store: ObjectStore) -> None:
    container.status = 500
    reason = "Received non 200 response 500 from container metadata: it is broken"
    assert reason in refusal(store)
    container.status = 200
    use(store)


def test_a_container_without_its_token_is_told_and_not_taken_for_one_without_objects(
    container: RoleService, store: ObjectStore, token_file: Path
) -> None:
    token_file.unlink()
    reason = f"[Errno 2] No such file or directory: '{token_file}'"
    assert refusal(store) == f"{store.url} needs credentials, and there are none ({reason}); {CURE}"
    assert container.requests == []


@pytest.mark.parametrize("status", [404, 0], ids=["has no role", "never answers"])
def test_who_has_no_credentials_is_told_after_one_look(instance: RoleService, store: ObjectStore, status: int) -> None:
    instance.status = status
    assert refusal(store) == f"{store.url} needs credentials, and there are none ({NOWHERE}); {CURE}"
    assert instance.requests == ["PUT /latest/api/token", f"GET {INSTANCE}"]


@pytest.mark.parametrize("secret", ["", None])
def test_a_key_without_its_secret_is_told_and_no_role_is_taken_instead(
    instance: RoleService, store: ObjectStore, monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    if secret is not None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    reason = "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY"
    assert refusal(store) == f"{store.url} needs credentials, and there are none ({reason}); {CURE}"
    assert instance.requests == []


@pytest.mark.usefixtures("bare")
def test_a_profile_that_is_not_there_is_told_in_a_sentence(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    reason = "The config profile (nobody) could not be found"
    assert refusal(store) == f"{store.url} needs credentials, and there are none ({reason}); {CURE}"
