"""Data keys of a key service: asked for once, kept for a bounded time, and of no use elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hounsfield.storage.keys.data_key import KeyServiceDownError, KeyUnavailableError
from hounsfield.storage.keys.data_key_cache import DataKeyCache, KeyNotCachedError, run_fetching_keys
from hounsfield.storage.keys.kms import KeyService, KeyServicePlace, UnusableKeyError, is_of_service, service_key_of
from hounsfield.storage.keys.master_keys import LocalKeyring
from support.servers import wait_for
from support.services.key_service import KeyServiceProxy, key_service
from support.services.object_store import KEY, ObjectStore

STORE = "a" * 32
OTHER = "b" * 32


@pytest.fixture
def proxy(s3: ObjectStore) -> Iterator[KeyServiceProxy]:
    with key_service(s3) as place:
        yield place


@pytest.fixture
def service(proxy: KeyServiceProxy) -> KeyService:
    return KeyService(KeyServicePlace("us-east-1", proxy.url, *KEY))


def data_keys(tmp_path: Path, service: KeyService | None, life_seconds: float = 300.0) -> DataKeyCache:
    return DataKeyCache(LocalKeyring(tmp_path / "master.json"), service, life_seconds)


def test_a_key_is_wrapped_for_one_data_store_only(proxy: KeyServiceProxy, service: KeyService) -> None:
    arn = proxy.new_key()
    wrapped = service.make(arn, STORE)
    assert is_of_service(wrapped)
    assert service_key_of(wrapped) == arn
    secret = service.unwrap(wrapped, STORE)
    assert len(secret) == 32
    assert secret not in wrapped
    with pytest.raises(KeyUnavailableError, match="InvalidCiphertextException"):
        service.unwrap(wrapped, OTHER)
    expected = {"kms-arn": arn, "aws:medical-imaging:datastoreId": STORE}
    assert [asked.operation for asked in proxy.asked] == ["DescribeKey", "GenerateDataKey", "Decrypt", "Decrypt"]
    assert [asked.context for asked in proxy.asked[1:3]] == [expected, expected]


def test_an_alias_is_followed_when_the_key_is_made_and_not_again(proxy: KeyServiceProxy, service: KeyService) -> None:
    first, second = proxy.new_key(), proxy.new_key()
    proxy.admin.create_alias(AliasName="alias/imaging", TargetKeyId=first)
    wrapped = service.make(first.rsplit(":", 1)[0] + ":alias/imaging", STORE)
    assert service_key_of(wrapped) == first
    proxy.admin.update_alias(AliasName="alias/imaging", TargetKeyId=second)
    proxy.disable(second)
    assert service.unwrap(wrapped, STORE)


def test_what_an_alias_of_nothing_or_another_region_says(proxy: KeyServiceProxy, service: KeyService) -> None:
    arn = proxy.new_key()
    for bad, message in (
        (arn.replace("us-east-1", "eu-west-1"), "us-east-1"),
        (arn[:-4] + "0000", "no such key"),
        (arn.rsplit(":", 1)[0] + ":alias/nothing", "no such key"),
        ("arn:aws:s3:::bucket", "ARN of a key"),
    ):
        with pytest.raises(UnusableKeyError, match=message):
            service.make(bad, STORE)


def test_open_never_waits_and_fetch_asks_once_for_all(
    tmp_path: Path, proxy: KeyServiceProxy, service: KeyService
) -> None:
    keys = data_keys(tmp_path, service)
    wrapped = keys.make(STORE, proxy.new_key())
    with pytest.raises(KeyNotCachedError):
        keys.open(STORE, wrapped)
    assert proxy.count("Decrypt") == 0
    proxy.passing.clear()
    with ThreadPoolExecutor(20) as threads:
        fetched = [threads.submit(run_fetching_keys, keys.open, STORE, wrapped) for _ in range(20)]
        assert proxy.waiting.acquire(timeout=120)
        proxy.passing.set()
        (secret,) = {future.result().secret for future in fetched}
    assert proxy.count("Decrypt") == 1
    assert keys.open(STORE, wrapped).secret == secret


def test_a_key_serves_while_it_lives_when_the_service_is_down(
    tmp_path: Path, proxy: KeyServiceProxy, service: KeyService
) -> None:
    keys = data_keys(tmp_path, service, life_seconds=4.0)
    wrapped = keys.make(STORE, proxy.new_key())
    keys.fetch(STORE, wrapped)
    proxy.down = True
    asked = proxy.count("Decrypt")
    # Past half of its life the key is asked for anew beside, and that fails: it serves on.
    wait_for(lambda: keys.open(STORE, wrapped) and proxy.count("Decrypt") > asked, "the renewal")
    assert keys.open(STORE, wrapped)

    def refused() -> str | None:
        try:
            run_fetching_keys(keys.open, STORE, wrapped)
        except KeyServiceDownError as error:
            return str(error)
        return None

    assert "does not answer" in wait_for(refused, "the end of the life of the key")
    proxy.down = False
    wait_for(lambda: refused() is None, "the service to be asked again")


def test_a_denied_key_is_given_to_nobody_once_that_is_known(
    tmp_path: Path, proxy: KeyServiceProxy, service: KeyService
) -> None:
    keys = data_keys(tmp_path, service, life_seconds=4.0)
    arn = proxy.new_key()
    wrapped = keys.make(STORE, arn)
    keys.fetch(STORE, wrapped)
    proxy.disable(arn)

    def refused() -> type[Exception] | None:
        try:
            run_fetching_keys(keys.open, STORE, wrapped)
        except KeyUnavailableError as error:
            return type(error)
        return None

    assert wait_for(refused, "the key to be refused") is KeyUnavailableError
    proxy.enable(arn)
    wait_for(lambda: refused() is None, "the key to be given again")


def test_without_a_service_nothing_of_it_opens(tmp_path: Path, proxy: KeyServiceProxy, service: KeyService) -> None:
    wrapped = data_keys(tmp_path, service).make(STORE, proxy.new_key())
    keys = data_keys(tmp_path, None)
    with pytest.raises(KeyUnavailableError, match="names none"):
        run_fetching_keys(keys.open, STORE, wrapped)
    with pytest.raises(UnusableKeyError, match="HOUNSFIELD_KMS_ENDPOINT_URL"):
        keys.make(STORE, "arn:aws:kms:us-east-1:000000000000:key/any")
