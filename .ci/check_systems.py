"""Build for systems that this machine is not: check_systems.py [TARGET...].

Zig is Clang, a linker, libc++ and the C libraries of these systems, in one package of PyPI, ziglang. With it
CMake builds and links the core's own tests, warnings as errors, and the extension module, but for Windows,
whose Python has headers of its own. Tests for musl are then run: they are linked statically, and those for
arm64 run if there is qemu-aarch64. Nothing runs of what is made for macOS and Windows.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "systems"
# As CMake calls their systems.
TARGETS = {
    "x86_64-linux-musl": "Linux",
    "aarch64-linux-musl": "Linux",
    "aarch64-macos": "Darwin",
    "x86_64-macos": "Darwin",
    "x86_64-windows-gnu": "Windows",
}


def options(target: str) -> list[str]:
    """Return what CMake is told for a target."""
    import ziglang

    zig = Path(ziglang.__file__).with_name("zig")
    found = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_COMPILER": f"{zig};c++;-target;{target}",
        "CMAKE_SYSTEM_NAME": TARGETS[target],
        "CMAKE_SYSTEM_PROCESSOR": target.split("-")[0],
        "LSTMFAST_TESTS": "ON",
        "LSTMFAST_WERROR": "ON",
        "LSTMFAST_PYTHON": "OFF",
    }
    if target == "aarch64-linux-musl":
        found["CMAKE_CROSSCOMPILING_EMULATOR"] = "qemu-aarch64"
    if "windows" not in target:
        import pybind11

        found |= {
            "LSTMFAST_PYTHON": "ON",
            "Python_EXECUTABLE": sys.executable,
            "Python_INCLUDE_DIR": sysconfig.get_path("include"),
            "pybind11_DIR": pybind11.get_cmake_dir(),
        }
    return [f"-D{name}={value}" for name, value in found.items()]


def check(target: str) -> str:
    """Build for a target and run what runs here; say what does not work, or nothing."""
    folder = str(BUILD / target)
    # What Zig makes of its C++ library, once for each target.
    cache = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(BUILD / "zig"))
    environment = {**os.environ, **cache}
    steps = {
        "is not configured": ["cmake", "-S", str(ROOT), "-B", folder, "-G", "Ninja", *options(target)],
        # The parts that belong to the module alone are compiled without it, too.
        "does not build": ["cmake", "--build", folder, "--target", "all", "provider", "jax", "--", "-k", "0"],
    }
    if "musl" in target:
        if target.startswith("aarch64") and not shutil.which("qemu-aarch64"):
            print(f"{target}: NOT RUN: this machine has no qemu-aarch64", flush=True)
        else:
            steps["fails its tests"] = ["ctest", "--test-dir", folder, "--output-on-failure"]
    for mistake, command in steps.items():
        if subprocess.run(command, check=False, env=environment).returncode:
            return f"{target} {mistake}"
    print(f"{target}: {', '.join(step.split()[-1] for step in steps)}: well", flush=True)
    return ""


if __name__ == "__main__":
    sys.exit("\n".join(filter(None, map(check, sys.argv[1:] or TARGETS))) or None)
