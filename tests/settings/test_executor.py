"""The scheduler that the settings name: where it may be, and what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hounsfield.bootstrap.cluster import open_cluster
from hounsfield.settings import InstallationError, Settings, SettingsError

FILES = {"executor_ca": "/ca.pem", "executor_certificate": "/own.pem", "executor_key": "/own.key"}


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({"executor": "dask://127.0.0.1:8786"}, "tcp://127.0.0.1:8786"),
        ({"executor": "dask://localhost"}, "tcp://localhost:8786"),
        ({"executor": "dask://[::1]:1234/"}, "tcp://[::1]:1234"),
        ({"executor": "dask+tls://scheduler.example.org:8786", **FILES}, "tls://scheduler.example.org:8786"),
        ({"executor": "dask://scheduler:8786", "executor_plain": True}, "tcp://scheduler:8786"),
    ],
)
def test_an_address_is_taken(values: dict[str, object], address: str) -> None:
    place = Settings(**values).cluster  # type: ignore[arg-type]
    assert place is not None
    assert str(place.scheduler) == address


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"executor": "dask://scheduler:8786"}, "use dask+tls, or set EXECUTOR_PLAIN"),
        ({"executor": "dask://127.0.0.1.example.org:8786"}, "use dask+tls"),
        ({"executor": "tcp://127.0.0.1:8786"}, "must be dask"),
        ({"executor": "dask"}, "must be dask"),
        ({"executor": "dask://127.0.0.1:0"}, "must be dask"),
        ({"executor": "dask://127.0.0.1:99999"}, "must be dask"),
        ({"executor": "dask://user:secret@127.0.0.1:8786"}, "must be dask"),
        ({"executor": "dask://127.0.0.1:8786/path"}, "must be dask"),
        ({"executor": "dask+tls://scheduler:8786"}, "needs EXECUTOR_CA"),
        ({"executor": "dask+tls://scheduler:8786", **FILES, "executor_key": ""}, "needs EXECUTOR_CA"),
        ({"executor": "dask://127.0.0.1:8786", **FILES}, "need dask+tls"),
        ({**FILES}, "need EXECUTOR=dask+tls"),
    ],
)
def test_one_that_cannot_be_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings(**values)  # type: ignore[arg-type]
    assert str(refusal.value).startswith("HOUNSFIELD_EXECUTOR: ")
    assert words in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    gone = {name: str(tmp_path / file.lstrip("/")) for name, file in FILES.items()}
    settings = Settings(executor="dask+tls://scheduler:8786", **gone)  # type: ignore[arg-type]
    with pytest.raises(InstallationError, match=r"ca\.pem, which cannot be read"):
        open_cluster(settings)
