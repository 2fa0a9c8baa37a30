"""See in a build's object files that no ISA's code leaks: python .ci/check_objects.py build/default.

A file compiled for one ISA defines its kernel tables for others to see, and nothing else. An inline function
would be a weak symbol, and the linker may keep the copy made for AVX-512 for every CPU. All other
files are code for the plainest CPU of their kind.
"""

import re
import subprocess
import sys
from pathlib import Path

# The kernel tables of each file, by the kinds of numbers and weights that they are for.
TABLES = {"kernels": ("F32", "F64"), "small": ("F16", "BF16", "I8"), "vnni": ("I8",), "amx": ("I8",)}

# What a compiler makes of a copy loop or a zeroed array, and how it addresses its own tables.
MAY_NEED = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_"}


def run(*command: str) -> list[str]:
    """Return the lines of a tool's output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def wrong_in_kernels(path: Path, isa: str) -> list[str]:
    """Find what a file compiled for one ISA defines or needs beyond what it may."""
    stem = "".join(part.capitalize() for part in isa.split("_"))
    tables = {f"lstmfast::k{stem}{kind}" for kind in TABLES[path.name.split(".")[0]]}
    defined = {line.split(maxsplit=2)[2] for line in run("nm", "-C", "--defined-only", "-g", str(path))}
    needed = {line.split(maxsplit=1)[1] for line in run("nm", "-C", "--undefined-only", str(path))}
    wrong = [f"should not define {name}" for name in sorted(defined - tables)]
    wrong += [f"should define {name}" for name in sorted(tables - defined)]
    return wrong + [f"should not need {name}" for name in sorted(needed - MAY_NEED)]


def wrong_in_baseline(path: Path) -> list[str]:
    """Find instructions of AVX and later in a file for every CPU: on x86 their names alone begin with v."""
    found = {
        match[1]
        for line in run("objdump", "-d", "--no-show-raw-insn", str(path))
        if (match := re.match(r"\s*[0-9a-f]+:\s+(v\w+)", line)) and not match[1].startswith("ver")
    }
    return [f"should not use {name}" for name in sorted(found)]


build = Path(sys.argv[1])
wrong = []
files = sorted((build / "CMakeFiles").glob("*.dir/**/*.o"))
isas = {path: match[1] for path in files if (match := re.search(r"/kernels_(\w+)\.dir/", str(path)))}
x86 = any("avx2" in isa for isa in isas.values())
for path in files:
    said = wrong_in_kernels(path, isas[path]) if path in isas else wrong_in_baseline(path) if x86 else []
    wrong += [f"{path.relative_to(build)}: {text}" for text in said]
if len(isas) < 2 or len(files) == len(isas):
    sys.exit(f"{build}: expected a build of the core, got {len(files)} object files")
if wrong:
    sys.exit("\n".join(wrong))

others = len(files) - len(isas)
print(f"{build}: {len(isas)} files for one ISA each, which export their tables alone; {others} for every CPU")
