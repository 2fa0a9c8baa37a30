"""Build the wheel and see that it takes at most 120 s of CPU: python .ci/build_time.py dist.

A CPU of 2020 (Zen 3) took 354 s when each file of the bindings compiled pybind11 anew, and each cell its own
products. CPU time, because it hardly depends on how many cores there are and what else they do; it has in it
what fetching and unpacking the build's own tools takes, a few seconds.
"""

import resource
import subprocess
import sys
import time

LIMIT = 120.0  # seconds

began = time.perf_counter()
subprocess.run([sys.executable, "-m", "build", "--outdir", sys.argv[1]], check=True)
wall = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
print(f"the wheel: {seconds:.0f} s of CPU in {wall:.0f} s, at most {LIMIT:.0f} s of CPU allowed")
if seconds > LIMIT:
    sys.exit("building the wheel takes too long")
