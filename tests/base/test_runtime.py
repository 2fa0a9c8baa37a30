"""Instruction sets, threads, the environment, and what importing costs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._base import runtime

from ..helpers import ISAS, assert_same_bits, random


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter without our variables but with these."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LSTMFAST_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def printed(program: str, **variables: str) -> str:
    """What a program prints that must succeed and say nothing else."""
    result = run(program, **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.strip()


def last_line(program: str, **variables: str) -> str:
    """The error of a program that must fail."""
    result = run(program, **variables)
    assert result.returncode == 1
    assert result.stdout == ""
    return result.stderr.strip().splitlines()[-1]


# Instruction sets.


def test_isas() -> None:
    assert ISAS[-1] == "scalar"
    assert set(ISAS) <= {"avx512", "avx2", "neon", "scalar"}
    assert len(set(ISAS)) == len(ISAS)
    lstmfast.available_isas().clear()  # a copy
    assert lstmfast.available_isas() == ISAS
    assert lstmfast.isa() == os.environ.get("LSTMFAST_ISA", ISAS[0])


def test_an_object_runs_on_the_isa_it_was_made_with(isa: str) -> None:
    assert lstmfast.LSTM(2, 3, isa=isa).isa == isa
    assert lstmfast.RNN(2, 3, isa=isa).isa == isa


def test_isa_of_the_environment(isa: str) -> None:
    program = "import lstmfast; print(lstmfast.isa(), lstmfast.LSTM(2, 3).isa, lstmfast.RNN(2, 3).isa)"
    assert printed(program, LSTMFAST_ISA=isa) == f"{isa} {isa} {isa}"
    assert printed(program, LSTMFAST_ISA=f" {isa}\n") == f"{isa} {isa} {isa}"


def test_isa_without_the_environment() -> None:
    program = "import lstmfast; print(lstmfast.isa(), lstmfast.LSTM(2, 3).isa)"
    assert printed(program) == f"{ISAS[0]} {ISAS[0]}"
    assert printed(program, LSTMFAST_ISA="") == f"{ISAS[0]} {ISAS[0]}"
    assert printed(program, LSTMFAST_ISA=" ") == f"{ISAS[0]} {ISAS[0]}"


@pytest.mark.parametrize("value", ["sse9", "AVX2", "scalar,avx2", "x" * 1000, "\udcff"])
def test_unknown_isa_in_the_environment(value: str) -> None:
    # The last is how Python shows, and hands on, the byte 0xff, which is no UTF-8.
    error = last_line("import lstmfast", LSTMFAST_ISA=value)
    assert error.startswith(f"ValueError: LSTMFAST_ISA: expected {' or '.join(map(repr, ISAS))}, got ")
    assert repr(value)[:80] in error


def test_isa_is_chosen_at_import() -> None:
    program = (
        "import os, lstmfast; before = lstmfast.isa(); os.environ['LSTMFAST_ISA'] = 'sse9';"
        "print(lstmfast.isa() == before == lstmfast.LSTM(2, 3).isa)"
    )
    assert printed(program) == "True"


# Threads.


@pytest.mark.parametrize("n", [1, 2, 3, np.int64(5), 4096])
def test_set_num_threads(threads: None, n: Any) -> None:
    lstmfast.set_num_threads(n)
    assert lstmfast.get_num_threads() == n


@pytest.mark.parametrize("count", [1, 2, 7])
def test_results_do_not_depend_on_threads(threads: None, count: int) -> None:
    lstm = lstmfast.LSTM(32, 64, 2, bidirectional=True, seed=0)
    x = random((20, 16, 32))
    lstmfast.set_num_threads(1)
    y, state, tape = lstm.forward(x)
    grads = lstm.backward(tape, y)
    lstmfast.set_num_threads(count)
    y2, state2, tape2 = lstm.forward(x)
    grads2 = lstm.backward(tape2, y2)
    assert_same_bits((y2, state2, grads2.x, grads2.parameters), (y, state, grads.x, grads.parameters))


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, r"^n: expected an integer >= 1, got 0 \(int\)$"),
        (-1, ValueError, r"^n: expected an integer >= 1, got -1 \(int\)$"),
        (4097, ValueError, r"^n: expected an integer <= 4096, got 4097 \(int\)$"),
        (2**31, ValueError, r"^n: expected an integer <= 4096"),
        (2**64, ValueError, r"^n: expected an integer <= 4096"),
        pytest.param(
            10**5000, ValueError, r"^n: expected an integer <= 4096, got an integer of 16610 bits$", id="huge"
        ),
        (True, TypeError, r"^n: expected an integer >= 1, got the bool True$"),
        (2.0, TypeError, r"^n: expected an integer >= 1, got 2.0 \(float\)$"),
        ("2", TypeError, r"^n: expected an integer >= 1, got '2' \(str\)$"),
        (None, TypeError, r"^n: expected an integer >= 1, got None$"),
    ],
)
def test_bad_numbers_of_threads(threads: None, n: Any, error: type[Exception], message: str) -> None:
    lstmfast.set_num_threads(3)
    with pytest.raises(error, match=message):
        lstmfast.set_num_threads(n)
    assert lstmfast.get_num_threads() == 3


@pytest.mark.parametrize(
    ("value", "expected"), [("1", "1"), ("3", "3"), (" 5 ", "5"), ("007", "7"), ("4096", "4096")]
)
def test_threads_of_the_environment(value: str, expected: str) -> None:
    assert (
        printed("import lstmfast; print(lstmfast.get_num_threads())", LSTMFAST_NUM_THREADS=value) == expected
    )


@pytest.mark.parametrize("variables", [{}, {"LSTMFAST_NUM_THREADS": ""}, {"LSTMFAST_NUM_THREADS": " "}])
def test_threads_without_the_environment(variables: dict[str, str]) -> None:
    program = "import lstmfast; print(lstmfast.get_num_threads())"
    assert printed(program, **variables) == str(runtime.usable_cpus())


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "-1",
        "two",
        "2.0",
        "1e1",
        "1_0",
        "0x2",
        "4097",
        "9" * 30,
        "1" * 5000,
        "\u0663",
        "1 2",
        "+2",
        "nan",
    ],
)
def test_bad_threads_in_the_environment(value: str) -> None:
    got = value if len(value) <= 80 else value[:80] + "..."
    assert last_line("import lstmfast", LSTMFAST_NUM_THREADS=value) == (
        f"ValueError: LSTMFAST_NUM_THREADS: expected an integer from 1 to 4096, got {got!r}"
    )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_threads_follow_the_affinity() -> None:
    one = min(os.sched_getaffinity(0))
    program = (
        f"import os; os.sched_setaffinity(0, {{{one}}}); import lstmfast; print(lstmfast.get_num_threads())"
    )
    assert printed(program) == "1"


def write(folder: Path, files: dict[str, str]) -> None:
    """Make files with their folders."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


CGROUPS: dict[str, tuple[str, dict[str, str], float | None]] = {
    "v2": ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 1.5),
    "v2, none": ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, None),
    "v2, the parent's is less": (
        "0::/a/b\n",
        {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"},
        2.0,
    ),
    "v2, the parent's is more": (
        "0::/a/b\n",
        {"a/b/cpu.max": "200000 100000", "a/cpu.max": "400000 100000"},
        2.0,
    ),
    "v2, only the parent's": ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3.0),
    "v2, in a container": ("0::/the/hosts/path\n", {"cpu.max": "250000 100000\n"}, 2.5),
    "v2, at the root": ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
    "v2, unified": ("1:cpu:/x\n0::/a\n", {"unified/a/cpu.max": "300000 100000\n"}, 3.0),
    "v2, another's": ("0::/a\n", {"b/cpu.max": "100000 100000\n"}, None),
    "v2, garbage": ("0::/a\n", {"a/cpu.max": "many\n", "cpu.max": ""}, None),
    "v2, zero": ("0::/a\n", {"a/cpu.max": "100000 0\n"}, None),
    "v1": (
        "5:memory:/m\n4:cpu,cpuacct:/a/b\n",
        {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n"},
        3.0,
    ),
    "v1, cpu alone": (
        "4:cpu:/a\n",
        {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "50000"},
        1.0,
    ),
    "v1, none": ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
    "v1, in a container": (
        "4:cpu,cpuacct:/docker/0123\n",
        {"cpu/cpu.cfs_quota_us": "700000", "cpu/cpu.cfs_period_us": "100000"},
        7.0,
    ),
    "v1, no period": ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "50000"}, None),
    "v1, other controllers": (
        "4:cpuset:/a\n",
        {"cpuset/a/cpu.cfs_quota_us": "1", "cpuset/a/cpu.cfs_period_us": "1"},
        None,
    ),
    "a path that climbs": ("0::/../../a\n", {"a/cpu.max": "100000 100000\n"}, 1.0),
    "nothing": ("", {"cpu.max": "100000 100000\n"}, None),
    "garbage": ("\n::\n:::::\n0\n0:\nx", {"cpu.max": "100000 100000\n"}, None),
}


@pytest.mark.parametrize("name", CGROUPS)
def test_cgroup_quota(tmp_path: Path, name: str) -> None:
    lines, files, expected = CGROUPS[name]
    membership = tmp_path / "membership"
    membership.write_text(lines)
    write(tmp_path / "mount", files)
    assert runtime.cgroup_quota(membership, tmp_path / "mount") == expected


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert runtime.cgroup_quota(tmp_path / "nothing", tmp_path) is None


@pytest.mark.parametrize(
    ("cpus", "quota", "expected"),
    [(8, None, 8), (8, 2.0, 2), (8, 2.5, 3), (2, 7.0, 2), (8, 0.1, 1), (1, None, 1)],
)
def test_usable_cpus(monkeypatch: pytest.MonkeyPatch, cpus: int, quota: float | None, expected: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False)
    monkeypatch.setattr(runtime, "cgroup_quota", lambda: quota)
    assert runtime.usable_cpus() == expected


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_usable_cpus_without_affinity(
    monkeypatch: pytest.MonkeyPatch, count: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(runtime, "cgroup_quota", lambda: None)
    assert runtime.usable_cpus() == expected


# Import.


def test_import_brings_nothing_heavy() -> None:
    program = (
        "import sys, numpy; before = set(sys.modules); import lstmfast;"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    heavy = {
        "torch",
        "safetensors",
        "matplotlib",
        "rich",
        "scipy",
        "pandas",
        "hypothesis",
        "asyncio",
        "multiprocessing",
        "unittest",
        "importlib_metadata",
        "statsmodels",
    }
    assert not heavy & set(printed(program).split())


def test_import_leaves_resources_alone() -> None:
    # As long as the data set is not read: it takes a tenth of the time that the package does.
    program = (
        "import sys, numpy; before = set(sys.modules); import lstmfast;"
        "print(*sorted(set(sys.modules) - before))"
    )
    assert "importlib.resources" not in printed(program).split()


@pytest.mark.alone
def test_import_takes_no_time() -> None:
    program = (
        "import time, numpy; start = time.process_time(); import lstmfast;print(time.process_time() - start)"
    )
    assert min(float(printed(program)) for _ in range(5)) < 0.15  # seconds beyond NumPy's own import
