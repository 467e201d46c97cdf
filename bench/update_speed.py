"""x"""

from bench.report import Report
from bench.scale import Run


def run(setting: Run, report: Report) -> None:
    """x."""
