"""Run tests under ThreadSanitizer, and fail where it names us: python3 check_races.py FOLDER TESTS...

FOLDER is what free_threaded.py has made. Races that are Python's or NumPy's own are counted. One is ours when
a function of ours is on any of its stacks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = re.compile(r"lstmfast::|[(/]_core\.cpython")
BETWEEN = "==================\n"  # around each report


def reports(folder: Path) -> list[str]:
    """Read what ThreadSanitizer has written, a file for each process."""
    texts = [path.read_text(errors="replace") for path in sorted(folder.iterdir())]
    return [part for text in texts for part in text.split(BETWEEN) if "WARNING: ThreadSanitizer" in part]


def main(where: str, *tests: str) -> int:
    """Run the tests; return 0 if all passed and no race is ours."""
    folder = Path(where).resolve()
    (python,) = (folder / "python" / "bin").glob("python3.*t")
    (known,) = folder.glob("Python-*/Tools/tsan/suppressions_free_threading.txt")
    log = folder / "reports"
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir()
    # What is not built for it says nothing of its locks; exit status 0, for reports are judged here.
    options = f"log_path={log}/of:exitcode=0:ignore_noninstrumented_modules=1:suppressions={known}"
    environment = {**os.environ, "TSAN_OPTIONS": options, "LSTMFAST_NUM_THREADS": "2", "PYTHON_GIL": "0"}
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *tests]
    status = subprocess.run(command, cwd=ROOT, env=environment).returncode
    found = reports(log)
    ours = [report for report in found if OURS.search(report)]
    for report in ours[:20]:
        print(report)
    print(f"ThreadSanitizer: {len(ours)} reports name us, {len(found) - len(ours)} do not")
    return status or bool(ours)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
