"""Reports of passes of verification: lines for people, and a JSON document."""

from __future__ import annotations

from typing import Any, Final

from hounsfield.imaging.verify.findings import Severity
from hounsfield.imaging.verify.passes import Pass, PassState
from hounsfield.storage.clock import to_datetime

FORMAT: Final = "hounsfield verification"
VERSION: Final = 1
COUNTED: Final = {
    "datastores": "data stores",
    "image_sets": "image sets",
    "instances": "instances",
    "frames": "frames",
    "records": "records",
    "packs": "packs older than a day",
    "studies": "studies",
    "bytes": "bytes",
    "audit_records": "audit records",
    "unnamed_records": "records in use by nobody",
}
"""What passes count, in words."""


def result_of(verified: Pass) -> str:
    """Return the result of a pass in a word: ``intact``, ``damaged``, or ``incomplete`` where not all was looked at."""
    if verified.damages:
        return "damaged"
    return "intact" if verified.state is PassState.ENDED and not verified.unchecked else "incomplete"


def report_json(verified: Pass) -> dict[str, Any]:
    """Return the report as a JSON document."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "pass": verified.id,
        "kind": verified.kind.value,
        "scope": verified.scope.to_json(),
        "began": to_datetime(verified.began_at).isoformat(),
        "updated": to_datetime(verified.updated_at).isoformat(),
        "complete": verified.state is PassState.ENDED,
        "result": result_of(verified),
        "seconds": round(verified.seconds, 3),
        "checked": {_member(name): verified.counts[name] for name in COUNTED},
        "findingCount": verified.counts["findings"],
        "findings": [finding.to_json() for finding in verified.findings],
    }


def report_lines(verified: Pass) -> list[str]:
    """Return the report as lines, what is wrong first."""
    order = list(Severity)
    findings = sorted(verified.findings, key=lambda finding: (order.index(finding.severity), finding))
    counted = ", ".join(f"{verified.counts[name]} {words}" for name, words in COUNTED.items() if verified.counts[name])
    lines = [finding.line() for finding in findings]
    if len(findings) < verified.counts["findings"]:
        lines.append(f"{verified.counts['findings'] - len(findings)} more findings are not listed")
    lines.append(f"checked {counted or 'nothing'} in {verified.seconds:.1f} s")
    if verified.state is not PassState.ENDED:
        lines.append("not to its end: `hounsfield verify --resume` with the same options goes on")
    return [*lines, f"result: {result_of(verified)}"]


def status_line(verified: Pass) -> str:
    """Return how a pass stands, as one line."""
    began = to_datetime(verified.began_at).strftime("%Y-%m-%dT%H:%M:%SZ")
    share = verified.counts["bytes"] / verified.total_bytes if verified.total_bytes else 1.0
    stands = "ended" if verified.state is PassState.ENDED else f"at {min(share, 1.0):.0%}"
    scope = ", ".join(f"{name} {value}" for name, value in verified.scope.to_json().items()) or "everything"
    return (
        f"{verified.kind.value} pass {verified.id} of {scope}, begun {began}, {stands}: {result_of(verified)}, "
        f"{verified.damages} damages, {verified.unchecked} not looked at"
    )


def _member(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
