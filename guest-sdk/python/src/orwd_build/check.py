"""`orwd check`: tells, without running anything, what of an environment will not work.

    python3 -m orwd_build.check PATH [--data DIR] [--json]

Exit code 0 if the environment can run, 1 if not, 2 if there is nothing to check.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from orwd_build.checks import project as projects
from orwd_build.checks.scan import Finding, Scan


def main(arguments: list[str] | None = None) -> int:
    """Runs the check."""
    parser = argparse.ArgumentParser(prog="orwd check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path, help="a Python file, or a folder with env.py")
    parser.add_argument("--data", type=Path, help="the data folder")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parsed = parser.parse_args(arguments)
    try:
        project = projects.find(parsed.path, parsed.data)
        scan = Scan(project)
        scan.run()
    except projects.ProjectError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = as_json(scan)
    print(json.dumps(report, indent=2) if parsed.json else as_text(scan))
    return 0 if report["runs"] else 1


def as_json(scan: Scan) -> dict[str, Any]:
    """The report for programs."""
    findings = sorted(scan.findings)
    return {
        "entry": str(scan.project.entry),
        "environments": scan.served or scan.classes,
        "runs": all(finding.warning for finding in findings),
        "native": [
            {"package": built.project, "version": built.version, "differences": list(built.differences)}
            for built in sorted(scan.native)
        ],
        "findings": [
            {
                "file": str(finding.file),
                "line": finding.line,
                "column": finding.column + 1,
                "level": "warning" if finding.warning else "error",
                "code": finding.code,
                "what": finding.what,
                "reason": finding.reason,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }


def as_text(scan: Scan) -> str:
    """The report for people."""
    findings = sorted(scan.findings)
    lines = [text for finding in findings for text in _lines(finding)]
    for built in sorted(scan.native):
        lines.append(f"{built.project} {built.version}: native code that works, of a wheel for WASI")
        lines += [f"    differs: {difference}" for difference in built.differences]
    errors = sum(not finding.warning for finding in findings)
    names = ", ".join(scan.served or scan.classes) or "no environment"
    modules = f"{len(scan.modules)} module{'s' if len(scan.modules) > 1 else ''}"
    if errors:
        verdict = f"{scan.project.entry}: cannot run, {errors} problem{'s' if errors > 1 else ''}"
    else:
        verdict = f"{scan.project.entry}: nothing found that would not work"
    return "\n".join([*lines, f"{verdict} ({names}; {modules} read)"])


def _lines(finding: Finding) -> list[str]:
    level = "warning" if finding.warning else "error"
    place = f"{finding.file}:{finding.line}:{finding.column + 1}"
    return [
        f"{place}: {level}: {finding.what}: {finding.reason} [{finding.code}]",
        f"    remedy: {finding.remedy}",
    ]


if __name__ == "__main__":
    sys.exit(main())
