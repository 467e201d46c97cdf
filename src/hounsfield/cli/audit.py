"""``hounsfield audit``: verify, search and deliver the audit trail."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hounsfield.cli.data_option import data_option
from hounsfield.settings import Settings, load_settings

if TYPE_CHECKING:
    from hounsfield.storage.db.database import Database


@click.group("audit")
def commands() -> None:
    """Check the audit trail, and look into it."""


@commands.command("verify")
@data_option
def verify_command(data: Path) -> None:
    """Check that no record was changed or removed; exits with 1 when one was."""
    from hounsfield.audit.anchors import read_anchors
    from hounsfield.audit.verify import verify
    from hounsfield.bootstrap.installation import audit_folder

    settings = dataclasses.replace(load_settings(), data=data)
    with _database(settings) as (database, key):
        anchors = read_anchors(database)
    found = verify(audit_folder(settings), key, anchors, only_folder=not settings.database_url)
    for finding in found.findings:
        click.echo(f"{'PROBLEM' if finding.problem else 'note'}  {finding.place}: {finding.text}")
    result = "intact" if found.intact else "NOT as it was written"
    click.echo(f"{found.chains} chains, {found.files} files, {found.records} records: {result}")
    sys.exit(0 if found.intact else 1)


@commands.command("tail")
@data_option
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Whole records, one a line.")
def tail_command(data: Path, count: int, as_json: bool) -> None:
    """Show the last records."""
    from hounsfield.audit.find import read_last_records
    from hounsfield.bootstrap.installation import audit_folder

    for body in read_last_records(audit_folder(dataclasses.replace(load_settings(), data=data)), count):
        _show(body, as_json=as_json)


@commands.command("find")
@data_option
@click.option("--event", default="", help="Name of the operation, such as GetImageFrame.")
@click.option("--caller", default="", help="Access key id, user name, or part of the ARN of who called.")
@click.option("--resource", default="", help="Part of the ARN of a resource, such as the id of an image set.")
@click.option("--uid", default="", help="UID of a study, series or instance.")
@click.option("--request-id", default="", help="Identifier of the request (x-amzn-RequestId).")
@click.option("--since", default="", help="Earliest time in UTC, such as 2026-03-14 or 2026-03-14T09:15:30Z.")
@click.option("--until", default="", help="Time in UTC before which it was.")
@click.option("--failed", is_flag=True, help="Only what was denied or failed.")
@click.option("--json", "as_json", is_flag=True, help="Whole records, one a line.")
def find_command(
    data: Path,
    event: str,
    caller: str,
    resource: str,
    uid: str,
    request_id: str,
    since: str,
    until: str,
    failed: bool,
    as_json: bool,
) -> None:
    """Show the records that say what is asked for."""
    from hounsfield.audit.find import Outcome, RecordFilter, read_records
    from hounsfield.audit.uid_redaction import make_uid_sealer
    from hounsfield.bootstrap.installation import audit_folder

    settings = dataclasses.replace(load_settings(), data=data)
    uids: frozenset[str] = frozenset()
    if uid:
        with _database(settings) as (_, key):
            uids = frozenset({uid, make_uid_sealer(key)(uid)})
    wanted = RecordFilter(event, caller, resource, request_id, since, until, Outcome.FAILED if failed else None, uids)
    for body in read_records(audit_folder(settings)):
        if wanted.matches(body):
            _show(body, as_json=as_json)


@commands.command("deliver")
@data_option
def deliver_command(data: Path) -> None:
    """Deliver the audit trail of this machine now; runners do it by themselves."""
    from hounsfield.bootstrap.audit_tasks import make_delivery
    from hounsfield.bootstrap.image_store import open_buckets
    from hounsfield.storage.buckets.bucket import BucketError

    settings = dataclasses.replace(load_settings(), data=data)
    delivery = make_delivery(settings, open_buckets(settings))
    if delivery is None:
        raise click.ClickException("HOUNSFIELD_AUDIT_S3_URI does not say where to.")
    try:
        click.echo(f"{delivery.run()} objects delivered")
    except (BucketError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _show(body: bytes, *, as_json: bool) -> None:
    from hounsfield.audit.find import format_line

    click.echo(body.decode() if as_json else format_line(body))


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Database, bytes]]:
    """Open the database of the installation, with the key of the audit trail from it."""
    from hounsfield.bootstrap.installation import audit_key, open_database, open_keyring
    from hounsfield.cli.installation import check_installation_exists, report_refusals

    check_installation_exists(settings)
    with report_refusals(settings):
        keyring = open_keyring(settings)
        database = open_database(settings, keyring)
        try:
            yield database, audit_key(database, keyring)
        finally:
            database.close()
