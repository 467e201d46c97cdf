"""The command ``python -m bench``: runs benchmarks, prints their figures and writes them as JSON.

A figure that misses its limit is printed as such; neither that nor a benchmark that does not work is an error of the command.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import (
    access_speed,
    append_bytes,
    audit_speed,
    backup_speed,
    compaction_speed,
    console,
    dask_speed,
    dicomweb_speed,
    encryption_speed,
    fairness,
    frame_speed,
    growth_speed,
    import_speed,
    long_series_speed,
    memory,
    metadata_speed,
    qido_speed,
    rebuild_speed,
    rendered_speed,
    restricted_speed,
    search_speed,
    update_speed,
    verify_speed,
    viewer,
)
from bench.report import Report
from bench.scale import QUICK, REAL, Run, Scale
from bench.server import BenchmarkError

BENCHMARKS: Mapping[str, Callable[[Run, Report], None]] = {
    "import_speed": import_speed.run,
    "frame_speed": frame_speed.run,
    "encryption_speed": encryption_speed.run,
    "rendered_speed": rendered_speed.run,
    "metadata_speed": metadata_speed.run,
    "dicomweb_speed": dicomweb_speed.run,
    "append_bytes": append_bytes.run,
    "audit_speed": audit_speed.run,
    "search_speed": search_speed.run,
    "qido_speed": qido_speed.run,
    "fairness": fairness.run,
    "console": console.run,
    "viewer": viewer.run,
    "restricted_speed": restricted_speed.run,
    "update_speed": update_speed.run,
    "long_series_speed": long_series_speed.run,
    "verify_speed": verify_speed.run,
    "compaction_speed": compaction_speed.run,
    "rebuild_speed": rebuild_speed.run,
    "dask_speed": dask_speed.run,
    "backup_speed": backup_speed.run,
    "access_speed": access_speed.run,
    "memory": memory.run,
    "growth_speed": growth_speed.run,
}
_ON_REQUEST = frozenset({"growth_speed"})
"""What takes so much of a machine that it is only run by its name, or quick."""
_RESULTS = Path(__file__).with_name("results")


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"which to run: {', '.join(BENCHMARKS)}; by default all but {', '.join(_ON_REQUEST)}",
    )
    parser.add_argument("--quick", action="store_true", help="everything small: only shows that the benchmarks run")
    parser.add_argument("--results", type=Path, default=_RESULTS, metavar="DIR", help="where the JSON files go")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where scratch files go (8 GB); a temporary folder")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - BENCHMARKS.keys())
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}")
    scale = QUICK if arguments.quick else REAL
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(
        f"{os.cpu_count()} processors, load before {load}; shared with whatever else runs here, so figures are noisy."
    )
    if scale.quick:
        print("Quick: the figures of so small a run mean nothing.")
    with tempfile.TemporaryDirectory(prefix="hounsfield-bench-", dir=arguments.work) as folder:
        # As on a machine where the server ran before, code is compiled already: here from the second start on.
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder, "compiled").absolute())
        usual = [name for name in BENCHMARKS if scale.quick or name not in _ON_REQUEST]
        for name in arguments.names or usual:
            report = _run(name, scale, Path(folder))
            print(f"  written to {report.write(arguments.results)}", flush=True)


def _run(name: str, scale: Scale, folder: Path) -> Report:
    """Run one benchmark in a folder that is removed afterwards."""
    report = Report(name, scale.quick)
    print(f"\n{name}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        try:
            BENCHMARKS[name](Run(scale, folder / "corpus", Path(work)), report)
        except BenchmarkError as error:
            report.failed = str(error)
            print(f"  failed: {error}")
    return report


if __name__ == "__main__":
    main()
