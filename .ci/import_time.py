"""See that importing lstmfast takes at most 0.15 s beyond NumPy's own import: python .ci/import_time.py."""

import subprocess
import sys

LIMIT = 0.15  # seconds
MEASURE = (
    "import time, numpy; start = time.perf_counter(); import lstmfast; print(time.perf_counter() - start)"
)

# Outside the source tree, and the best of several: the machine may be busy, the disk cold.
times = [float(subprocess.check_output([sys.executable, "-I", "-c", MEASURE])) for _ in range(7)]
print(f"import lstmfast: {min(times):.3f} s beyond NumPy's, at most {LIMIT} allowed")
if min(times) > LIMIT:
    sys.exit("importing lstmfast takes too long")
