"""Compile the core for systems that this machine is not: check_systems.py [TARGET...].

Zig is Clang with the C libraries' headers of these systems, in one package of PyPI, ziglang: nothing is
linked and nothing run, so this finds what does not compile, warnings included, and no more. The bindings are
compiled where this Python's own headers do, which are not those of Windows.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

CPP = Path(__file__).resolve().parents[1] / "cpp"
TARGETS = ("x86_64-windows-gnu", "aarch64-macos", "x86_64-macos", "x86_64-linux-musl", "aarch64-linux-musl")
# CMakeLists.txt has the same, and what is only for speed.
OPTIONS = [
    "-std=c++17",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-Wno-sign-conversion",
]
AVX512 = [f"-mavx512{part}" for part in ("f", "dq", "bw", "vl")]
KERNELS: dict[str, dict[str, list[str]]] = {
    "x86_64": {
        "scalar": [],
        "avx2": ["-mavx2", "-mfma", "-mf16c"],
        "avx512": [*AVX512, "-mavx512vnni", "-mfma", "-mf16c"],
    },
    "aarch64": {"scalar": [], "neon": []},
}


def sources(target: str) -> dict[Path, list[str]]:
    """Return what is compiled for a target, and with which options beside the common ones."""
    processor = target.split("-")[0]
    found: dict[Path, list[str]] = {}
    for folder in ("core", "dispatch", "onnxruntime", "jax"):
        found |= {path: [] for path in sorted((CPP / folder).glob("*.cpp"))}
    for isa, options in KERNELS[processor].items():
        found |= dict.fromkeys(sorted((CPP / "kernels" / isa).glob("*.cpp")), options)
    if "windows" not in target:
        import pybind11

        headers = ["-isystem", pybind11.get_include(), "-isystem", sysconfig.get_path("include")]
        found |= dict.fromkeys(sorted((CPP / "bindings").glob("*.cpp")), headers)
    return found


def check(target: str) -> int:
    """Compile everything for a target; return how many files do not."""
    defined = "LSTMFAST_X86" if target.startswith("x86_64") else "LSTMFAST_ARM64"
    common = [
        *OPTIONS,
        "-Werror",
        f"-D{defined}",
        '-DLSTMFAST_VERSION="0"',
        f"-I{CPP}",
        f"-I{CPP / 'include'}",
    ]
    failed = 0
    files = sources(target)
    with tempfile.TemporaryDirectory() as folder:
        for path, options in files.items():
            command = [sys.executable, "-m", "ziglang", "c++", "-target", target, *common, *options]
            done = subprocess.run([*command, "-c", str(path), "-o", f"{folder}/object"], check=False)
            if done.returncode:
                print(f"{target}: {path.relative_to(CPP)} does not compile", flush=True)
                failed += 1
    print(f"{target}: {len(files) - failed} of {len(files)} files compile", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(min(sum(check(target) for target in sys.argv[1:] or TARGETS), 100))
