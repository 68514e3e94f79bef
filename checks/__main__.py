"""``python -m checks [NAME ...]``: runs all checks, or those that are named, and shows what the failed ones print."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# import-linter has no `python -m`; its program is beside the interpreter's.
_LINT_IMPORTS = str(Path(sys.executable).with_name("lint-imports"))

CHECKS: dict[str, list[str]] = {
    "ruff": [sys.executable, "-m", "ruff", "check", "--quiet"],
    "mypy": [sys.executable, "-m", "mypy"],
    "imports": [_LINT_IMPORTS, "--no-cache"],
    "spelling": [sys.executable, "-m", "codespell_lib"],
    "links": [sys.executable, "-m", "checks.links"],
    "parameters": [sys.executable, "-m", "regionmask_ros.pipeline.option_docs", "--check"],
    "commands": [sys.executable, "-m", "checks.command_reference", "--check"],
    "site": [sys.executable, "-m", "checks.site"],
}


def main(names: list[str]) -> int:
    """Runs the checks one after the other; a failed one does not stop those that follow.

    Args:
        names: Keys of `CHECKS`; empty for all.

    Returns:
        The exit status: 0 when all checks pass, 1 when one fails, 2 for an unknown name.
    """
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"checks: unknown: {', '.join(unknown)}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = [name for name in names or CHECKS if not _passes(name)]
    if failed:
        print(f"checks: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _passes(name: str) -> bool:
    begin = time.monotonic()
    try:
        done = subprocess.run(CHECKS[name], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        status, output = done.returncode, done.stdout
    except OSError as error:
        status, output = 1, f"{error}; run: make check-setup\n"
    print(f"{name:<12}{'ok' if status == 0 else 'failed':<8}{time.monotonic() - begin:6.1f} s", flush=True)
    if status:
        print(output, end="", flush=True)
    return status == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
