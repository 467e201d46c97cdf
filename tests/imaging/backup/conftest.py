"""What tests of backups share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="package")
def passphrase(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The option that gives commands a passphrase."""
    path = tmp_path_factory.mktemp("passphrase") / "passphrase"
    path.write_text("backup of the ward")
    return "--passphrase-file", str(path)
