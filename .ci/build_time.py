"""Build the wheel and see that it takes at most 120 s of CPU: python .ci/build_time.py dist.

A CPU of 2020 (Zen 3) took 354 s when each file of the bindings compiled pybind11 anew, and each cell its own
products. CPU time has in it what fetching and unpacking the build's own tools takes, a few seconds, and what
neighbours cost: one commit took 105 s alone on 2 cores, 124 s beside two compilers and 193 s beside more. So
where the build had less than one and a half CPUs to itself, twice as much is allowed.
"""

import resource
import subprocess
import sys
import time

LIMIT, BUSY_LIMIT = 120.0, 240.0  # seconds: with the CPUs to itself, and beside others
ITS_OWN = 1.5  # CPUs, of two

began = time.perf_counter()
subprocess.run([sys.executable, "-m", "build", "--outdir", sys.argv[1]], check=True)
wall = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
seconds = used.ru_utime + used.ru_stime
limit = LIMIT if seconds / wall >= ITS_OWN else BUSY_LIMIT
print(f"the wheel: {seconds:.0f} s of CPU in {wall:.0f} s, at most {limit:.0f} s of CPU allowed")
if seconds > limit:
    sys.exit("building the wheel takes too long")
