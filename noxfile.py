"""Every check of this project: `nox -l` lists them, `nox -s lint` runs one, `.ci/run` most of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "typing", "core", "tests"]
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
EXTRAS = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))

# What the parity tests compare with. A pin: a newer one would bring gigabytes, and other last bits.
TORCH = "torch==2.13.0"

# Folders of tests/, and parts of others, whose subject is not the compiled core: all others are run on every
# instruction set and sanitized.
BESIDE_THE_CORE = {
    "": ("bench", "cli", "datasets", "demo", "files", "house"),
    "bindings": ("test_stub.py",),
    "small": ("test_accuracy.py", "test_compare.py", "test_compare_report.py"),
    "reference": ("test_reference.py",),
    "streams": ("test_memory.py",),
    "torch": [
        f"test_{name}.py" for name in ("accelerate", "distributed", "freeze", "graph", "models", "operators")
    ],
    "training": [
        f"test_{name}.py"
        for name in ("adam", "clipping", "curve", "gradients", "head", "losses", "memory", "training")
    ],
}

# Numbers alone: under the sanitizers, ten times slower, they would walk where tests/core and others do.
NUMBERS_ALONE = {
    "bindings": ("test_activations.py",),
    "layers/numbers": [
        f"test_{name}.py"
        for name in ("bits", "differences", "dropout", "projection", "recompute", "reset", "truncated")
    ],
}


def without(*lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Tell pytest what to leave out; a name that is not there would leave out nothing, in silence."""
    patterns = [
        str(Path("tests", folder, name)) for left in lists for folder in left for name in left[folder]
    ]
    assert not (gone := [pattern for pattern in patterns if not any(ROOT.glob(pattern))]), gone
    return [f"--ignore-glob={pattern}" for pattern in patterns]


CORE_TESTS = without(BESIDE_THE_CORE)
SANITIZED_TESTS = without(BESIDE_THE_CORE, NUMBERS_ALONE)


def requirements(*extras: str) -> Iterator[str]:
    """Read what extras of pyproject.toml name, without lstmfast itself: for sessions that need no build."""
    for extra in extras:
        for requirement in EXTRAS[extra]:
            own = re.fullmatch(r"lstmfast\[(.+)\]", requirement)
            yield from requirements(*own[1].split(",")) if own else [requirement]


def core_tests(session: nox.Session, preset: str) -> None:
    """Configure, build and run the core's own tests: no Python in them. CMakePresets.json has the presets."""
    session.install(*(name for name in requirements("dev") if name.startswith(("cmake", "ninja"))))
    session.run("cmake", "--preset", preset)
    session.run("cmake", "--build", "--preset", preset)
    session.run("ctest", "--preset", preset)


def need(session: nox.Session, *programs: str) -> None:
    """Skip a session, and say so, on a machine that lacks a program."""
    if missing := [program for program in programs if not shutil.which(program)]:
        session.skip(f"NOT RUN: this machine has no {', '.join(missing)}")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the Python tests; arguments after -- are pytest's."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def speed(session: nox.Session) -> None:
    """Hold the speed against the NumPy reference: on a quiet machine."""
    session.install(".[test]")
    session.run("pytest", "-m", "speed", *session.posargs)


@nox.session(venv_backend="none")
def readme(session: nox.Session) -> None:
    """Run README.md's shell lines word for word, as a newcomer would: in a copy without anything built."""
    lines = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M)
    if not any("pytest" in line for line in lines):
        session.error("README.md: no ```sh block runs pytest")
    copy = Path(session.create_tmp()).resolve() / "lstmfast"
    shutil.rmtree(copy, ignore_errors=True)
    built = (".git", ".nox", ".venv*", ".*_cache", ".hypothesis", "build", "dist", "__pycache__", "*.so")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*built))
    with session.chdir(copy):
        for line in lines:
            session.run("bash", "-exc", line, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout of Python and C++."""
    session.install(*(name for name in requirements("lint") if not name.startswith("mypy")))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = [str(path.relative_to(ROOT)) for folder in ("cpp", "tests/core") for path in cpp_files(folder)]
    session.run("clang-format", "--dry-run", "-Werror", *sources)


def cpp_files(folder: str) -> list[Path]:
    """Find the C++ files below a folder."""
    return sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in {".h", ".cpp"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types, strictly."""
    session.install(*requirements("lint", "test"), "numpy", "nox")
    session.run("mypy")


@nox.session
def isa(session: nox.Session) -> None:
    """Run the Python tests on every instruction set of this machine, PyTorch beside it."""
    session.install(".[test]", TORCH, "expecttest")  # which PyTorch's own test cases need
    command = "import lstmfast; print(*lstmfast.available_isas())"
    isas = str(session.run("python", "-c", command, silent=True)).split()
    report = Path(session.create_tmp()).resolve() / "report.xml"
    for name in reversed(isas):
        session.log(f"LSTMFAST_ISA={name}")
        tests = [] if name == isas[0] else CORE_TESTS  # everything once, on the fastest
        session.run("pytest", f"--junitxml={report}", *tests, env={"LSTMFAST_ISA": name})
        session.run("python", ".ci/check_parity_ran.py", str(report))


@nox.session
def core(session: nox.Session) -> None:
    """Run the core's own tests with each compiler, and see that no ISA's code leaks out of its file."""
    core_tests(session, "default")
    session.run("python", ".ci/check_objects.py", "build/default")
    if shutil.which("clang++"):
        core_tests(session, "clang")
        session.run("python", ".ci/check_objects.py", "build/clang")
    else:
        session.warn("NOT RUN with Clang: this machine has no clang++")


@nox.session
def sanitizers(session: nox.Session) -> None:
    """Run the core's tests under Address-, Undefined- and ThreadSanitizer, Python's under the first two."""
    core_tests(session, "tsan")

    # As preset asan, but with the Python extension: one build for both.
    session.install(
        ".[test]",
        "-Cbuild-dir=build/asan-python",
        "-Ccmake.build-type=RelWithDebInfo",
        "-Ccmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g",
        "-Ccmake.define.LSTMFAST_SANITIZE=address,undefined",
        "-Ccmake.define.LSTMFAST_TESTS=ON",
        "-Ccmake.define.LSTMFAST_WERROR=ON",
    )
    session.run("ctest", "--test-dir", "build/asan-python", "--output-on-failure")
    # Python itself is built without: the runtimes must be there before it is.
    compiler = os.environ.get("CXX", "c++")
    libraries = [
        subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    environment = {
        "LD_PRELOAD": " ".join(libraries),
        "PYTHONMALLOC": "malloc",
        # Python keeps memory until it exits; what cannot be had must be a MemoryError here, too.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    # A report goes to file descriptor 2, which pytest must not capture.
    session.run(
        "python", "-m", "pytest", "--capture=sys", *SANITIZED_TESTS, *session.posargs, env=environment
    )


@nox.session
def neon(session: nox.Session) -> None:
    """Run the core's own tests on an emulated arm64."""
    need(session, "aarch64-linux-gnu-g++", "qemu-aarch64")
    core_tests(session, "neon")
    session.run("python", ".ci/check_objects.py", "build/neon")


@nox.session
def baseline(session: nox.Session) -> None:
    """Run the core's own tests on emulated x86-64 CPUs: the plainest, and one with AVX2 but not AVX-512."""
    need(session, "qemu-x86_64")
    core_tests(session, "default")
    for cpu in ("qemu64", "Haswell"):
        # Not team: qemu-user 7 breaks where it forks. Nor calls, which takes minutes there.
        for name in ("fingerprint", "kernels", "math", "network", "small_network", "transpose"):
            session.run("qemu-x86_64", "-cpu", cpu, f"build/default/tests/core/core_{name}", external=True)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel; see what is in it, how large it is and how long it takes to import."""
    session.install("build")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"))
    (built,) = (folder / "dist").glob("*.whl")
    session.run("python", ".ci/check_wheel.py", str(built))
    session.install("--force-reinstall", str(built))
    session.run("python", ".ci/import_time.py")
