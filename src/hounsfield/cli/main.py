"""The command ``hounsfield``.

Each command imports what it needs when it runs, so that the process that only keeps others going stays small.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import click

from hounsfield.cli.data_option import data_option
from hounsfield.cli.passphrase_option import passphrase_option
from hounsfield.runtime.core_dumps import VARIABLE, forbid_core_dumps
from hounsfield.runtime.gc_freeze import defer_collection, skip_collection_at_exit
from hounsfield.runtime.logs import configure_logs
from hounsfield.runtime.standard_error import guard_standard_error
from hounsfield.runtime.worker_pool import start_fork_server
from hounsfield.server.supervisor import ServerEndedError, ServingError, serve, serve_api
from hounsfield.settings import PREFIX, InstallationError, SettingsError, load_settings

_PORT: Final = click.IntRange(0, 65_535)

_GROUPS: Final = {
    "access-key": ("hounsfield.cli.access_keys", "Make, rotate and disable access keys."),
    "audit": ("hounsfield.cli.audit", "Check the audit trail, and look into it."),
    "datastore": ("hounsfield.cli.datastores", "Say who sees the image sets of a data store."),
    "master-key": (
        "hounsfield.cli.master_keys",
        "List, rotate, retire, export and import the master keys of the installation.",
    ),
    "policy": ("hounsfield.cli.policies", "Make policies and attach them to users and roles."),
    "role": ("hounsfield.cli.roles", "Make and manage roles."),
    "settings": ("hounsfield.cli.settings", "Change the settings that all nodes have alike."),
    "user": ("hounsfield.cli.users", "Make and manage users."),
}
"""Groups of commands: the module whose ``commands`` each of them is, and its help, for which the module is not imported."""

_FORMER_NAMES: Final = {"key": "access-key", "keys": "master-key"}
"""Names that groups had before: they work, are not listed, and the new name is told on standard error."""


class _Groups(click.Group):
    """The commands here, and groups whose modules are read when one of their commands is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_GROUPS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = _FORMER_NAMES.get(args[0])
        if name is None:
            return super().resolve_command(ctx, args)
        click.echo(f"`hounsfield {args[0]}` is now `hounsfield {name}`; the old name still works", err=True)
        return super().resolve_command(ctx, [name, *args[1:]])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _GROUPS:
            return super().get_command(ctx, cmd_name)
        with defer_collection():
            group: click.Group = importlib.import_module(_GROUPS[cmd_name][0]).commands
        return group

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - of click
        shown = {**self.commands, **{name: click.Group(name, help=text) for name, (_, text) in _GROUPS.items()}}
        room = formatter.width - 6 - max(map(len, shown))
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(room)) for name, command in sorted(shown.items())])


@click.group(cls=_Groups, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hounsfield")
def cli() -> None:
    """A self-hosted medical image store that speaks the AWS HealthImaging API."""


@cli.command("serve")
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, type=_PORT, show_default=True, help="Port to listen on; 0 for any free one.")
@click.option("--insecure-no-auth", is_flag=True, help="Let everybody in; only possible on loopback.")
def serve_command(data: Path, host: str, port: int, insecure_no_auth: bool) -> None:
    """Serve the API and run import jobs."""
    if insecure_no_auth:
        os.environ[f"{PREFIX}INSECURE_NO_AUTH"] = "true"
    settings = dataclasses.replace(load_settings(), data=data)
    configure_logs(settings.log_level)
    try:
        serve(settings, host, port)
    except ServingError as error:
        raise click.ClickException(str(error)) from error


@cli.command("api")
@data_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, type=_PORT, show_default=True, help="Port to listen on.")
def api_command(data: Path, host: str, port: int) -> None:
    """Serve the API only; import jobs are run by other processes."""
    settings = dataclasses.replace(load_settings(), data=data)
    configure_logs(settings.log_level)
    serve_api(settings, host, port)


@cli.command("runner")
@data_option
def runner_command(data: Path) -> None:
    """Run import jobs only; the API is served by other processes."""
    # The workers' imports and those of this process go on side by side.
    settings = dataclasses.replace(load_settings(), data=data)
    if not settings.executor:
        start_fork_server("hounsfield.imaging.ingest.worker")
    with defer_collection():
        from hounsfield.server.runner import run_runner

    run_runner(settings)


@cli.command("import")
@data_option
@click.option(
    "--datastore", help="Id or name of the data store; one is made when there is none of that name. [default: imports]"
)
@click.option("--profile", help="Profile of the AWS credentials file whose user imports.  [default: the root key]")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def import_command(data: Path, datastore: str | None, profile: str | None, paths: tuple[Path, ...]) -> None:
    """Import DICOM files and folders; exits with 1 when files failed.

    The server of the data folder imports them, or one that runs only as long.
    A data folder that is not there is made.
    """
    from hounsfield.cli import import_command

    try:
        failed = import_command.import_paths(data, datastore or "imports", paths, profile)
    except ServerEndedError:
        raise
    except (import_command.ImportFailedError, ServingError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(1 if failed else 0)


@cli.command("console")
@data_option
@click.option(
    "--url",
    help="Where browsers reach the server.  [default: HOUNSFIELD_PUBLIC_URL, the server of the data folder, "
    "or http://127.0.0.1:8080]",
)
@click.option("--user", metavar="NAME", help="Sign in as this user, by one of its active keys.  [default: root]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def console_command(data: Path, url: str | None, user: str | None, as_json: bool) -> None:
    """Print a link that signs in to the console: it works once, within five minutes."""
    from hounsfield.cli.console_link import print_link

    print_link(data, url, user, as_json=as_json)


@cli.command("verify")
@data_option
@click.option("--datastore", metavar="ID", help="Only this data store.")
@click.option("--image-set", metavar="ID", help="Only this image set.")
@click.option("--sample", metavar="N|P%", help="Only so many image sets, or such a part of them, drawn at random.")
@click.option(
    "--rate", metavar="BYTES", help="Read at most so many bytes a second, such as 50M.  [default: any number]"
)
@click.option("--processes", type=click.IntRange(1, 1024), help="Processes that check.  [default: one per processor]")
@click.option("--resume", is_flag=True, help="Go on with the pass of these options that did not come to its end.")
@click.option(
    "--repair", is_flag=True, help="Heal damaged and lost packs from the archive location, and from a backup."
)
@click.option(
    "--from", "backup", metavar="BACKUP", help="Heal them from this backup too, a folder or s3://bucket/prefix."
)
@click.option("--status", is_flag=True, help="Show how the last passes stand, those of runners too, and check nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_command(
    data: Path,
    datastore: str | None,
    image_set: str | None,
    sample: str | None,
    rate: str | None,
    processes: int | None,
    resume: bool,
    repair: bool,
    backup: str | None,
    status: bool,
    as_json: bool,
) -> None:
    """Check that everything stored is as it was written.

    Exits with 0 when all is well, 1 when something is damaged, and 3 when not everything could be looked at.
    """
    # The imports of the processes and those of this one go on side by side.
    if not status:
        start_fork_server("hounsfield.imaging.verify.record_check")
    with defer_collection():
        from hounsfield.cli import verify
        from hounsfield.cli.long_work import parse_rate
        from hounsfield.cli.output import Output
    if status:
        verify.show_status(data, Output(as_json=as_json))
        return
    scope = verify.parse_scope(datastore, image_set, sample)
    bound = parse_rate(rate)
    order = verify.RepairOrder(repair, backup)
    order.check()
    output = Output(as_json=as_json)
    sys.exit(verify.verify(data, scope, order, rate=bound, processes=processes, resume=resume, output=output))


@cli.command("backup")
@data_option
@passphrase_option
@click.option(
    "--kms-key", metavar="ARN", help="Wrap the master keys by this key of the key service, not by a passphrase."
)
@click.option(
    "--rate", metavar="BYTES", help="Copy at most so many bytes a second, such as 50M.  [default: any number]"
)
@click.option(
    "--keep", metavar="N", type=click.IntRange(1, 100_000), help="Remove all generations but so many of the newest."
)
@click.option("--keep-days", metavar="N", type=click.IntRange(1, 100_000), help="Keep those of so many last days, too.")
@click.option("--list", "as_list", is_flag=True, help="List the generations that are there, and make none.")
@click.option("--new", "anew", is_flag=True, help="Begin a new backup in a place that held one and holds none now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("target")
def backup_command(
    data: Path,
    passphrase_file: BinaryIO | None,
    kms_key: str | None,
    rate: str | None,
    keep: int | None,
    keep_days: int | None,
    as_list: bool,
    anew: bool,
    as_json: bool,
    target: str,
) -> None:
    """Back up to TARGET, a folder or s3://bucket/prefix, beside running servers.

    What is there already is not copied again. The passphrase, or the key, is needed for the first backup and after each
    rotation of the master key.
    Exits with 0 when the backup is complete, 1 when packs are lost that it should have, and 3 when none was made.
    """
    with defer_collection():
        from hounsfield.cli import backup
        from hounsfield.cli.output import Output
        from hounsfield.imaging.backup.pruning import Retention
    if as_list:
        sys.exit(backup.list_backup(data, target, Output(as_json=as_json)))
    sys.exit(
        backup.make_backup(
            data,
            target,
            passphrase_file=passphrase_file,
            kms_key=kms_key,
            rate=rate,
            retention=Retention(keep, keep_days),
            anew=anew,
            output=Output(as_json=as_json),
        )
    )


@cli.command("restore")
@data_option
@passphrase_option
@click.option("--generation", metavar="NAME", help="Restore this generation.  [default: the newest]")
@click.option("--to", metavar="TIME", help="Restore the state of this time, such as 2026-03-14T09:15:30Z.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("source")
def restore_command(
    data: Path,
    passphrase_file: BinaryIO | None,
    generation: str | None,
    to: str | None,
    as_json: bool,
    source: str,
) -> None:
    """Restore the backup in SOURCE into an empty data folder, database and place of packs; nothing is written over.

    Exits with 0 when all is well, 1 when something is missing or damaged, and 3 when nothing was restored.
    """
    with defer_collection():
        from hounsfield.cli import backup
        from hounsfield.cli.output import Output
    sys.exit(
        backup.restore_backup(
            data,
            source,
            generation=generation,
            to=to,
            passphrase_file=passphrase_file,
            output=Output(as_json=as_json),
        )
    )


@cli.command("rebuild")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rebuild_command(data: Path, as_json: bool) -> None:
    """Make the database again of packs, journal and master keys, where it was lost.

    Nothing that is there is written over: an existing database is refused, and servers must be stopped.
    Exits with 0 when all was made again, 1 when something could not be, and 3 when nothing was rebuilt.
    """
    with defer_collection():
        from hounsfield.cli import rebuild
        from hounsfield.cli.output import Output
    sys.exit(rebuild.rebuild(data, Output(as_json=as_json)))


@cli.command("status")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(data: Path, as_json: bool) -> None:
    """Show how the installation stands, whether or not its server runs.

    Exits with 0 when nothing needs a person, 1 when something does, and 3 when the installation cannot be opened.
    """
    with defer_collection():
        from hounsfield.cli import status
        from hounsfield.cli.output import Output
    sys.exit(status.show_status(data, Output(as_json=as_json)))


@cli.command("compact")
@data_option
@click.option("--status", is_flag=True, help="Show how compaction stands, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compact_command(data: Path, status: bool, as_json: bool) -> None:
    """Merge small packs and erase released bytes now, beside a running server too.

    Exits with 0 when all is done, 1 when packs had to be left as they are, and 3 when it could not be carried out.
    """
    with defer_collection():
        from hounsfield.cli import compact
        from hounsfield.cli.output import Output
    if status:
        compact.show_status(data, Output(as_json=as_json))
        return
    sys.exit(compact.compact(data, Output(as_json=as_json)))


@cli.command("demo")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-data"), show_default=True)
@click.option("--keep-serving/--stop", default=None, help="Serve on after the tour.  [default: when in a terminal]")
def demo_command(data: Path, keep_serving: bool | None) -> None:
    """Import a generated CT and the DICOM files that pydicom carries, and read every frame back."""
    from hounsfield.cli import import_command
    from hounsfield.cli.demo import tour

    try:
        tour.run(data, keep_serving=sys.stdout.isatty() if keep_serving is None else keep_serving)
    except ServerEndedError:
        raise
    except (import_command.ImportFailedError, tour.DemoError, ServingError) as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Run the command."""
    guard_standard_error()
    # A setting that cannot be is said where the command reads it; until then nothing is allowed.
    with suppress(SettingsError, OSError, ValueError):
        if load_settings().core_dumps:
            os.environ[VARIABLE] = "true"
    forbid_core_dumps()
    # Nothing that is written is for other users of the machine.
    os.umask(0o077)
    # The library that numpy multiplies with would start a thread for every processor in each process, before it is forked too.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    skip_collection_at_exit()
    try:
        cli()
    except ServerEndedError:
        sys.exit(1)
    except InstallationError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        # What is left of standard output cannot be written either, and would be tried at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        what = error.filename or "a file, or standard output,"
        click.echo(f"Error: {what} cannot be used: {error.strerror or error}; see that disks have room", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
