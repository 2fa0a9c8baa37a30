"""The soak in little: seconds of what `nox -s soak` does for long; and a leak is seen, of whatever it is."""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python
from ..helpers import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, asks glibc")

SHORT = {"streams": 300_000, "training": 600}
SAMPLES = 24


def soak(what: str, steps: int) -> str:
    """What a soak in a process of its own prints; it must end well."""
    script = "import sys\nsys.path.insert(0, sys.argv[1])\nfrom tests.soak.__main__ import main\n"
    script += f"sys.exit(main([*sys.argv[2:], '--samples', '{SAMPLES}']) or None)"
    return run_python(script, str(ROOT), what, str(steps), timeout=600)


@pytest.mark.parametrize(("what", "steps"), SHORT.items())
def test_memory_does_not_grow(what: str, steps: int) -> None:
    lines = soak(what, steps).splitlines()
    assert len(lines) == 1 + 1 + SAMPLES + 1
    assert int(lines[-2].split()[0]) >= steps


LEAKS = """
import ctypes, gc, sys
sys.path.insert(0, sys.argv[1])
from tests.soak import watch
gc.freeze()
malloc = ctypes.CDLL(None).malloc
malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
kept = []
leaks = {
    "nothing": lambda: None,
    "heap": lambda: malloc(400),
    "objects": lambda: kept.append(bytes(10)),
    "tracked": lambda: kept.append([]),
    "resident": lambda: kept.append(bytearray(9000)),
}
for name, leak in leaks.items():
    def visit():
        leak()
        return 1
    found = [line.split(":")[0] for line in watch.complaints(watch.soak(visit, 3000, samples=24))]
    print(name, name in found, len(found) > 0)
"""


def test_a_leak_is_seen() -> None:
    """One of each step, of some bytes."""
    seen = run_python(LEAKS, str(ROOT)).split("\n")[:-1]
    assert seen == [
        "nothing False False",
        *(f"{name} True True" for name in ("heap", "objects", "tracked", "resident")),
    ]
