"""What appending one instance to a large series writes, against importing one instance into an empty data store."""

from __future__ import annotations

from bench.corpus import write_tiny_series
from bench.report import Report
from bench.scale import Run
from bench.server import ImportedJob, Server
from bench.written import Written, written_by

LIMIT = 2.0


def run(setting: Run, report: Report) -> None:
    """Measure an append."""
    count = setting.scale.tiny_instances
    paths = write_tiny_series(setting.corpus / "tiny", count + 1)
    with Server(setting.folder("append-bytes") / "data") as server:
        server.put("series", paths[:count])
        server.put("one", paths[count:])
        server.import_prefix(server.datastore(), "one")
        alone, _ = _written(server, server.datastore())
        large = server.datastore()
        series = server.import_prefix(large, "series")
        appended, job = _written(server, large)
        version = server.client.get_image_set(datastoreId=large, imageSetId=server.image_set(large))["versionId"]
    report.figure(f"import of {count} instances, wall time", series.seconds, "s")
    report.figure("append of one instance, wall time", job.seconds, "s")
    _show(report, "append", appended)
    _show(report, "import into an empty data store", alone)
    report.figure("append: packs changed that were there", appended.packs_changed, "", 0)
    others = appended.rows.get("instances", {}).get("changed", 0) + appended.rows.get("frame_runs", {}).get(
        "changed", 0
    )
    report.figure("append: rows of other instances changed", others, "", 0)
    report.figure("bytes written, append / into an empty data store", appended.total / alone.total, "×", LIMIT)
    report.details.update(append=vars(appended), empty=vars(alone), version=version, instances=count)


def _written(server: Server, datastore_id: str) -> tuple[Written, ImportedJob]:
    """Import the one instance into a data store."""
    return written_by(server, lambda: server.import_prefix(datastore_id, "one"))


def _show(report: Report, label: str, written: Written) -> None:
    report.figure(f"{label}: new packs", written.pack_bytes / 1000, "kB")
    report.figure(f"{label}: pages in the write-ahead log", written.log_bytes / 1000, "kB")
    report.figure(f"{label}: growth of the database file", written.database_growth / 1000, "kB")
    rows = "; ".join(
        f"{table} {', '.join(f'{count} {what}' for what, count in change.items())}"
        for table, change in written.rows.items()
    )
    report.note(f"{label}: rows: {rows}")
