"""See that tests went through all of the bindings: python .ci/check_bindings_ran.py build/asan-python.

The build is one with LSTMFAST_COVERAGE: each function of cpp/bindings/ counts how often it was called.
One that no test of the chosen ones called has not been under the sanitizers either.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINDINGS = ROOT / "cpp" / "bindings"

# What runs in the child of a fork alone, which ends without telling.
NOT_SEEN = "process_generation()::{lambda()#1}"

build = Path(sys.argv[1]).resolve()
compiler = os.environ.get("CXX", "c++")
gcov = subprocess.check_output([compiler, "-print-prog-name=gcov"], text=True).strip()
notes = sorted((build / "CMakeFiles").rglob("*.gcno"))
calls: dict[tuple[str, int, str], int] = {}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([gcov, "--json-format", *map(str, notes)], cwd=folder, check=True, capture_output=True)
    for path in Path(folder).glob("*.gcov.json.gz"):
        told = json.loads(gzip.decompress(path.read_bytes()))
        for file in told["files"]:
            source = (Path(told["current_working_directory"]) / file["file"]).resolve()
            if source.is_relative_to(BINDINGS):
                for function in file["functions"]:
                    key = (
                        source.relative_to(ROOT).as_posix(),
                        function["start_line"],
                        function["demangled_name"],
                    )
                    calls[key] = calls.get(key, 0) + function["execution_count"]

if len({file for file, _, _ in calls}) < len(list(BINDINGS.glob("*.cpp"))):
    sys.exit(f"{build}: expected counts of all files in cpp/bindings/, got {len(notes)} files' notes")
never = sorted(key for key, count in calls.items() if not count and NOT_SEEN not in key[2])
if never:
    sys.exit("\n".join(["no test called", *(f"{file}:{line}: {name}" for file, line, name in never)]))
print(f"{len(calls)} functions of the bindings, each of them called")
