"""The requests to an object store: what they promise, what a store must do, and what its faults become."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from reloads.errors import OperatorError
from reloads.stores.object_store import ObjectStore
from reloads.stores.probe import probe
from reloads.warehouse.mirror import Mirror
from tests.support.s3_proxy import Request, S3Proxy
from tests.support.s3_server import BUCKET, SECRET, S3Server, use_profile

pytestmark = pytest.mark.usefixtures("s3")


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")


def first_of(method: str, status: int) -> Callable[[Request], int | None]:
    """A fault of the first request of that method."""
    seen: list[Request] = []

    def fault(request: Request) -> int | None:
        if request.method != method or seen:
            return None
        seen.append(request)
        return status

    return fault


def test_of_many_that_create_an_object_one_does(store: ObjectStore) -> None:
    def create(number: int) -> bool:
        try:
            store.create("a", str(number).encode())
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        created = list(threads.map(create, range(16)))
    assert created.count(True) == 1
    content = store.read("a")
    assert content is not None
    assert int(content.data) == created.index(True)


def test_of_two_that_replace_what_they_read_the_second_is_told(store: ObjectStore) -> None:
    store.write("a", b"1")
    content = store.read("a")
    assert content is not None
    store.replace("a", b"2", tag=content.tag)
    with pytest.raises(FileExistsError):
        store.replace("a", b"3", tag=content.tag)
    assert store.read("a") != content


def test_what_is_not_there_is_told_and_is_no_error(store: ObjectStore, tmp_path: Path) -> None:
    store.write("day=1/k=A%20B/é/x", b"rows")
    assert store.read("nowhere") is None
    assert not store.has("nowhere")
    assert store.has("day=1/k=A%20B/é/x")
    assert store.fetch({"nowhere": tmp_path / "a", "day=1/k=A%20B/é/x": tmp_path / "b"}) == ["nowhere"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert store.copy({"copy": "nowhere"}) == ["copy"]
    store.remove(["nowhere"])
    assert [found.key for found in store.look("day=1")] == ["day=1/k=A%20B/é/x"]


@pytest.mark.parametrize("status", [500, 503, 0, -500, -503])
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_request_that_the_store_fails_is_sent_again(proxy: S3Proxy, method: str, status: int) -> None:
    store = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    proxy.fault = first_of(method, status)
    # Also where it was done and the answer was lost: the second time the object is there, and it is our own.
    store.create("a", b"rows")
    content = store.read("a")
    assert content is not None
    assert content.data == b"rows"
    with pytest.raises(FileExistsError):
        store.create("a", b"others")


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ("if-none-match", "lets an object be created twice (If-None-Match)"),
        ("if-match", "replaces an object that somebody else has replaced (If-Match)"),
    ],
)
def test_a_store_that_two_could_publish_the_same_commit_to_is_refused(proxy: S3Proxy, header: str, what: str) -> None:
    store = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    probe(store)
    proxy.ignored_condition = header
    with pytest.raises(OperatorError) as caught:
        probe(store)
    assert str(caught.value) == f"{store.url} {what}, so two could publish the same commit; take another store"
    assert list(store.look("")) == []


def test_a_mirror_probes_its_store_once(proxy: S3Proxy, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "mirror", ObjectStore(f"s3://{BUCKET}/{uuid4().hex}"))
    mirror.probe_once()
    assert proxy.requests
    proxy.requests.clear()
    mirror.probe_once()
    assert proxy.requests == []


def test_who_may_not_is_told_in_a_sentence_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"not-{SECRET}")
    store = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    with pytest.raises(OperatorError) as caught:
        store.write("a", b"rows")
    sentence = str(caught.value)
    assert sentence.startswith(f"{store.url} refuses access (")
    assert "; give AWS tools credentials that may list and read there, and write and delete" in sentence
    assert SECRET not in sentence
    assert "\n" not in sentence


def test_what_is_no_store_is_told_in_a_sentence() -> None:
    with pytest.raises(OperatorError, match=r"^foo://x cannot be opened \(.*\); write one like s3://bucket/prefix$"):
        ObjectStore("foo://x").write("a", b"rows")


def test_the_credentials_of_a_profile_are_found_as_aws_tools_find_them(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert s3.endpoint
    use_profile(tmp_path, monkeypatch)
    store = ObjectStore(f"s3://{BUCKET}/{uuid4().hex}")
    store.write("a", b"rows")
    content = store.read("a")
    assert content is not None
    assert content.data == b"rows"
