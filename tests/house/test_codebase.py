"""The house rules that a machine can check: extras, docstrings, and who may know whom."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ..helpers import ROOT

CPP = ROOT / "cpp"
TESTS = ROOT / "tests"
FOLDERS = (".ci", ".github", "cpp", "docs", "examples", "failures", "python", "tests")
ISAS = sorted(folder.name for folder in (CPP / "kernels").iterdir() if folder.name != "generic")
PUBLIC = ("lstmfast", "lstmfast.datasets", "lstmfast.onnx", "lstmfast.reference", "lstmfast.training")


def read(path: str | Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def cpp_files(folder: str = "") -> list[Path]:
    found = sorted(path for path in (CPP / folder).rglob("*") if path.suffix in {".h", ".cpp"})
    assert found, folder
    return found


def text_files() -> Iterator[Path]:
    """Everything that is committed, where nothing else lies about."""
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix != ".so")
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in {".pyc", ".so", ".png"}:
                yield path


# What several files say, they say alike.


def test_every_extra_that_a_message_names_exists() -> None:
    extras = re.findall(r"^([\w-]+) = \[", read("pyproject.toml").split("optional-dependencies]")[1], re.M)
    named = {
        (path.name, extra)
        for path in text_files()
        if path.suffix in {".py", ".md"} and path != Path(__file__)
        for extra in re.findall(r"(?:lstmfast|\.)\[(\w+)\]'", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {(file, extra) for file, extra in named if extra not in extras} == set()


# What is public is documented.


def public_objects(module: ModuleType) -> Iterator[tuple[str, object]]:
    """A module's public functions and classes, and the classes' methods and properties."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        if not str(value.__module__).startswith("lstmfast"):
            continue
        yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for member in dir(value):
                attribute = inspect.getattr_static(value, member)
                kinds = (property, classmethod, staticmethod)
                if not member.startswith("_") and (
                    inspect.isroutine(attribute) or isinstance(attribute, kinds)
                ):
                    yield f"{module.__name__}.{name}.{member}", getattr(value, member)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    objects = dict(public_objects(module))
    assert objects
    assert [name for name, value in objects.items() if not (inspect.getdoc(value) or "").strip()] == []


# Who may know whom: docs/design.md.

# Where a room's quoted includes may lead. The kernels of an ISA also see their own folder.
MAY_INCLUDE = {
    "include": ("lstmfast/",),
    "core": (
        "core/",
        "lstmfast/dense.h",
        "lstmfast/fingerprint.h",
        "lstmfast/heuristics.h",
        "lstmfast/kept_memory.h",
        "lstmfast/kernel_table.h",
        "lstmfast/named_shape.h",
        "lstmfast/network.h",
        "lstmfast/optimizing.h",
        "lstmfast/probes.h",
        "lstmfast/stream_ids.h",
        "lstmfast/streams.h",
        "lstmfast/stopping.h",
        "lstmfast/system.h",
        "lstmfast/threads.h",
        "lstmfast/types.h",
    ),
    "kernels/generic": ("kernels/generic/", "lstmfast/kernel_table.h", "lstmfast/types.h"),
    **{
        f"kernels/{isa}": (f"kernels/{isa}/", "kernels/generic/", "lstmfast/kernels.h", "lstmfast/types.h")
        for isa in ISAS
    },
    "dispatch": ("dispatch/", "lstmfast/"),
    "bindings": ("bindings/", "lstmfast/"),
    "onnxruntime": (
        "onnxruntime/",
        "lstmfast/",
        "core/asking.h",
        "core/buffer.h",
        "core/float_environment.h",
        "core/rounding.h",
    ),
    "jax": ("jax/", "lstmfast/", "core/asking.h", "core/buffer.h"),
}


def includes(path: Path) -> list[str]:
    """What a file includes, as it is written: `"core/time.h"` or `<vector>`."""
    return re.findall(r'^\s*#\s*include\s+(["<][^">]+[">])', path.read_text(encoding="ascii"), re.M)


@pytest.mark.parametrize("room", MAY_INCLUDE)
def test_rooms_include_only_whom_they_may_know(room: str) -> None:
    wrong = [
        (path.name, name)
        for path in cpp_files(room)
        for name in includes(path)
        if name.startswith('"') and not name[1:-1].startswith(MAY_INCLUDE[room])
    ]
    assert wrong == []


def test_every_cpp_file_is_in_a_room() -> None:
    rooms = {path for room in MAY_INCLUDE for path in cpp_files(room)}
    assert set(cpp_files()) == rooms


def test_only_bindings_know_python() -> None:
    knowing = {
        path.relative_to(CPP).parts[0]
        for path in cpp_files()
        for name in includes(path)
        if re.match(r"<(pybind11/|Python\.h|numpy/)", name)
    }
    assert knowing == {"bindings"}


def test_one_header_knows_what_systems_call_things() -> None:
    """Or Windows would be lost again. Others ask for glibc, or for what ends a thread by unwinding it."""
    of_systems = r"<(pthread|sched|signal|unistd|malloc|time|windows|sys/\w+)\.h>"
    knowing = {
        path.relative_to(CPP).as_posix()
        for path in cpp_files()
        for name in includes(path)
        if re.match(of_systems, name)
    }
    assert knowing == {
        "include/lstmfast/system.h",
        "bindings/gil.h",
        "bindings/memory.cpp",
        "dispatch/caches.cpp",
    }


def test_kernels_use_no_standard_library() -> None:
    used = {name for path in cpp_files("kernels") for name in includes(path) if name.startswith("<")}
    assert used <= {"<immintrin.h>", "<arm_neon.h>", "<stdint.h>"}
    assert [path.name for path in cpp_files("kernels") if "std::" in path.read_text(encoding="ascii")] == []


@pytest.mark.parametrize("room", ["core", "bindings", "include/lstmfast/network.h"])
def test_core_and_bindings_never_name_an_isa(room: str) -> None:
    assert {"avx2", "avx512", "neon", "scalar"} <= set(ISAS)
    named = [
        (path.name, match[0])
        for path in (cpp_files(room) if (CPP / room).is_dir() else [CPP / room])
        for match in re.finditer(
            rf"(?i)\bk?({'|'.join(ISAS)})|LSTMFAST_(X86|ARM64)|\b_mm\w*", path.read_text()
        )
    ]
    assert named == []


def test_core_neither_prints_nor_aborts() -> None:
    wrong = [
        (path.name, match[0])
        for path in cpp_files()
        for match in re.finditer(
            r"<(iostream|cstdio|stdio\.h|cassert|assert\.h)>|\b(printf|puts|cout|cerr|assert|abort|exit|terminate)\s*\(",
            path.read_text(encoding="ascii"),
        )
        if not match[0].startswith("static_assert")
    ]
    assert wrong == []


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """All modules that a Python file imports, by their full names; relative ones begin with a dot."""
    names: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {module} | {f"{module.rstrip('.')}.{alias.name}" for alias in node.names}
    return names


def test_nobody_imports_tests_examples_or_failures() -> None:
    """Who may know whom within the package: test_wings.py."""
    strangers = {
        "tests": {"tests"},
        "examples": {"examples"} | {path.stem for path in (ROOT / "examples").rglob("*.py")},
        "failures": {"failures"} | {path.stem for path in (ROOT / "failures").rglob("*.py")},
    }
    paths = [path for room in ("python", *strangers) for path in sorted((ROOT / room).rglob("*.py"))]
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in paths
        for name in imports(path)
        for room, stems in strangers.items()
        if ROOT / room not in path.parents and name.split(".")[0] in stems
    ]
    assert wrong == []


def folders_of_tests() -> list[Path]:
    """All that have Python in them, or have folders that do."""
    return sorted({folder for path in TESTS.rglob("*.py") for folder in path.parents} - set(TESTS.parents))


def test_tests_are_a_package() -> None:
    """Where pytest put them on the path instead, tests/torch would be PyTorch to who looks for it."""
    assert {TESTS, TESTS / "torch"} < set(folders_of_tests())
    modules = [folder / "__init__.py" for folder in folders_of_tests()]
    assert [path for path in modules if not path.is_file() or not ast.get_docstring(tree_of(path))] == []


def test_tests_import_no_other_tests() -> None:
    """What several need is in a file of helpers, and relative, so that nobody's path finds another."""
    modules = {path.stem for path in TESTS.rglob("*.py")} - {"conftest", "__init__"}
    tests = {name for name in modules if name.startswith("test_")}
    wrong = [
        (path.relative_to(ROOT).as_posix(), name)
        for path in TESTS.rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] in {"tests", *modules}
        or (name.startswith(".") and tests & set(name.split(".")))
    ]
    assert wrong == []


# What is committed makes sense on any machine.


def test_cpp_sources_are_ascii() -> None:
    assert [path.name for path in cpp_files() if not path.read_bytes().isascii()] == []


def test_no_file_names_a_path_of_a_machine() -> None:
    own = re.compile(r"(?<![\w.])/(?:home|root|Users|work|tmp|opt|mnt)/\w|\b[A-Z]:\\\\?\w")
    named = [
        (path.relative_to(ROOT).as_posix(), match[0])
        for path in text_files()
        for match in own.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert named == []
