"""The order of the files of the suite: those that take longest first, so that no process is left alone with one at the end.

Before that each process reads all files, and compiles those that no other has compiled yet: so each begins with another one.

The seconds are guessed from the processor time of a file and what it waits; only the order counts. A file that is not listed
takes less than ten.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

SECONDS: Final = {
    "console/test_every_page.py": 50,
    "bootstrap/test_start_faults.py": 45,
    "imaging/tiering/test_pack_mover.py": 35,
    "iam/authorization/test_image_set_rights.py": 35,
    "system/faults/test_kill.py": 30,
    "cli/test_demo.py": 30,
    "iam/authorization/test_every_operation.py": 30,
    "imaging/retrieve/test_real_files.py": 25,
    "cli/test_commands.py": 25,
    "console/static/viewer/test_volumes.py": 35,
    "console/static/viewer/test_slides.py": 35,
    "console/static/viewer/test_segmentations.py": 25,
    "console/static/viewer/test_details.py": 20,
    "console/static/viewer/test_values.py": 15,
    "console/static/viewer/test_bad_input.py": 15,
    "console/static/viewer/test_pictures.py": 25,
    "system/faults/test_locked_database.py": 25,
    "system/faults/test_standard_error.py": 25,
    "system/faults/test_outages.py": 25,
    "storage/buckets/test_s3.py": 25,
    "console/test_edits.py": 20,
    "server/test_tls.py": 20,
    "system/nodes/test_two_nodes.py": 20,
    "console/test_identities.py": 20,
    "system/faults/test_clock_jumps.py": 20,
    "imaging/receive/test_store_groups.py": 20,
    "docs/test_compatibility.py": 20,
    "imaging/test_quotas.py": 20,
    "server/test_stop.py": 20,
    "gateway/test_odd_names.py": 20,
    "imaging/imports/test_bad_input.py": 20,
    "api/dicomweb/test_search.py": 20,
    "gateway/test_bearer_authentication.py": 20,
    "system/test_postgresql.py": 20,
    "imaging/imagesets/test_study_update.py": 15,
    "system/faults/test_failing_forks.py": 15,
    "server/test_processes.py": 15,
    "system/nodes/test_mismatch.py": 15,
    "console/test_audit.py": 15,
    "storage/test_at_rest.py": 15,
    "imaging/tiering/test_tiers.py": 15,
    "system/test_state_machine.py": 15,
    "storage/keys/test_key_service.py": 15,
    "audit/test_faults.py": 15,
    "imaging/tiering/test_orphan_packs.py": 15,
    "console/test_imports.py": 15,
    "imaging/imports/test_real_files.py": 15,
    "docs/test_encryption.py": 15,
    "console/test_signing_in.py": 15,
    "imaging/retrieve/test_locked_image_sets.py": 15,
    "console/test_session_end.py": 15,
    "iam/authorization/test_restricted_datastores.py": 15,
    "imaging/imagesets/test_update_locked.py": 15,
    "gateway/test_bursts.py": 15,
    "audit/test_disk_use.py": 15,
    "system/faults/test_full_disk.py": 15,
    "console/test_upload.py": 15,
    "console/test_copies.py": 15,
    "iam/identities/test_access_keys.py": 15,
    "imaging/tiering/test_pack_mover_s3.py": 10,
    "iam/sessions/test_import_job_roles.py": 10,
    "gateway/test_slow_clients.py": 10,
    "clients/test_ahi_to_dicom.py": 10,
    "imaging/imagesets/test_copy.py": 10,
    "docs/test_audit.py": 10,
    "iam/authorization/test_limited_users.py": 10,
    "conformance/test_cli.py": 10,
    "console/test_usage.py": 10,
    "gateway/test_large_responses.py": 10,
    "docs/test_tutorials.py": 10,
    "imaging/tiering/test_tiers_postgresql.py": 10,
    "system/test_named_values.py": 10,
}
"""By the path below ``tests``."""


TESTS: Final = Path(__file__).parent


def taking_turns(named: Sequence[str]) -> list[str]:
    """Return what pytest is to read: where that is the whole suite and several processes do, its files from one of them on."""
    number, count = os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if not number or [Path(name).resolve() for name in named] != [TESTS]:
        return list(named)
    files = sorted(str(path) for path in TESTS.rglob("test_*.py"))
    first = len(files) * int(number.removeprefix("gw")) // count
    return [*files[first:], *files[:first]]


def longest_first(items: list[pytest.Item]) -> None:
    """Arrange tests by how long their file takes, then by its name; those of one file stay together as they are."""
    assert [name for name in SECONDS if not (TESTS / name).exists()] == [], "files that are listed here are gone"
    seconds = {TESTS / name: seconds for name, seconds in SECONDS.items()}
    items.sort(key=lambda item: (-seconds.get(item.path, 0), item.path))
