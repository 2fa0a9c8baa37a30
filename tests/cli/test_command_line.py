"""The command line: what it says, and that no mistake of a user ends in a traceback."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest

import lstmfast
from lstmfast import _cli, _core
from lstmfast._base import cpu
from lstmfast._cli import info

Done: TypeAlias = "subprocess.CompletedProcess[str]"

RUN = [sys.executable, "-m", "lstmfast"]


def run(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> Done:
    return subprocess.run(
        [*RUN, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment(env),
        cwd=cwd,
    )


def environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    """Return ours without what would change the outcome."""
    ours = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("LSTMFAST_") and key not in {"PYTHONUNBUFFERED", "PYTHONIOENCODING"}
    }
    return {**ours, **(changes or {})}


def assert_one_line_error(done: Done, code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("lstmfast")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith("\n")
    for word in words:
        assert word in done.stderr


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"lstmfast {lstmfast.__version__}\n"


def test_the_installed_command_is_the_same() -> None:
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="lstmfast")
    assert command.load() is _cli.main


def test_help_names_every_command() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "info" in done.stdout
    assert "demo" in done.stdout


def test_main_returns_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert _cli.main(["info"]) == 0
    assert capsys.readouterr().out.startswith("lstmfast")


# info ------------------------------------------------------------------------------------------------


def info_of(**env: str) -> dict[str, str]:
    done = run("info", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def test_info() -> None:
    info = info_of()
    machine = ["Python", "NumPy", "platform", "CPU", "caches", "weights"]
    assert list(info) == ["lstmfast", "ISA", "threads", *machine]
    assert info["lstmfast"] == lstmfast.__version__
    isas = lstmfast.available_isas()
    assert info["ISA"].startswith(f"{isas[0]} (the fastest here; also here: ")
    assert all(isa in info["ISA"] for isa in isas)
    assert info["threads"].endswith("(the CPUs that this process may use)")
    assert int(info["threads"].split()[0]) >= 1
    assert info["NumPy"] == np.__version__


@pytest.mark.parametrize("isa", lstmfast.available_isas())
def test_info_with_a_forced_isa(isa: str) -> None:
    assert info_of(LSTMFAST_ISA=isa)["ISA"].startswith(f"{isa} (forced by LSTMFAST_ISA")


def test_info_with_a_number_of_threads() -> None:
    assert info_of(LSTMFAST_NUM_THREADS="3")["threads"] == "3 (from LSTMFAST_NUM_THREADS)"


def test_empty_variables_are_unset() -> None:
    assert info_of(LSTMFAST_ISA="", LSTMFAST_NUM_THREADS="") == info_of()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LSTMFAST_ISA", "mmx"), ("LSTMFAST_NUM_THREADS", "0"), ("LSTMFAST_NUM_THREADS", "many")],
)
@pytest.mark.parametrize("command", ["info", "demo"])
def test_a_variable_that_cannot_be(command: str, variable: str, value: str, tmp_path: Path) -> None:
    done = run(command, env={variable: value}, cwd=tmp_path)
    assert_one_line_error(done, 2, f"lstmfast: error: {variable}: expected ", repr(value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["-m", "lstmfast"], ["-mlstmfast"], ["-X", "utf8", "-m", "lstmfast"]])
def test_a_variable_that_cannot_be_by_any_way_in(options: list[str], tmp_path: Path) -> None:
    # The module, and the script that an installer writes, under its name.
    script = tmp_path / "lstmfast"
    script.write_text("import sys; from lstmfast._cli import main; sys.exit(main())")
    for arguments in ([*options, "info"], [str(script), "info"]):
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment({"LSTMFAST_ISA": "mmx"}),
        )
        assert_one_line_error(done, 2, "lstmfast: error: LSTMFAST_ISA: expected ", "'mmx'")


@pytest.mark.parametrize("name", ["program", "mylstmfast"])
def test_a_variable_that_cannot_be_is_an_exception_to_programs(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("import lstmfast")
    for arguments in ([f"{name}.py", "lstmfast"], ["-m", name, "lstmfast"], ["-c", "import lstmfast"]):
        done = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment({"LSTMFAST_ISA": "mmx"}),
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("ValueError: LSTMFAST_ISA: expected ")


def test_a_package_that_imports_this_one_gets_the_exception(tmp_path: Path) -> None:
    # There argv[0] is "-m", too.
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("import lstmfast")
    (tmp_path / "theirs" / "__main__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "theirs", "lstmfast"],
        capture_output=True,
        text=True,
        check=False,
        env=environment({"LSTMFAST_ISA": "mmx"}),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ValueError: LSTMFAST_ISA: expected ")


def test_info_needs_numpy_alone() -> None:
    code = (
        "import sys; from lstmfast._cli import main; main(['info']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "numpy" in loaded
    assert not loaded & {"rich", "matplotlib", "safetensors", "torch"}


def test_cache_sizes_in_the_largest_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "caches", lambda: {"L1d": 48 << 10, "L2": 1280 << 10, "L3": 32 << 20})
    assert cpu.cache_sizes() == {"L1d": "48 KiB", "L2": "1280 KiB", "L3": "32 MiB"}


def test_info_says_what_was_chosen() -> None:
    """The limits of heuristics.h: where the caches are large, 16 MiB, and with AVX2 5 and 12 MiB.

    With AVX-512 what L2 holds, where that is more than 1 MiB.
    """
    caches = _core.caches()
    cache, l2 = max(caches.values(), default=32 << 20), caches.get("L2", 0)
    long = l2 if l2 > 1 << 20 and "L3" in caches else 16 << 20
    for isa, sizes in (
        ("avx2", (5 << 20, 5 << 20, 12 << 20)),
        ("avx512", (long,) * 3),
        ("scalar", (16 << 20,) * 3),
    ):
        if isa not in lstmfast.available_isas():
            continue
        chosen = [min(size, cache // 2) for size in sizes]
        assert list(_core.heuristics(isa).values()) == chosen
        said = info_of(LSTMFAST_ISA=isa)["weights"]
        assert [f"from {cpu.in_units(size)} on" in said for size in chosen] == [True] * 3


def test_what_is_not_known_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "cache_sizes", dict)
    monkeypatch.setattr(cpu, "_read", lambda path: "")
    monkeypatch.setattr(cpu, "_sysctl", lambda key: "")
    monkeypatch.setattr("platform.processor", lambda: "")
    said = dict(line.split(maxsplit=1) for line in info.lines())
    assert said["CPU"] == "unknown"
    assert said["caches"] == "unknown"


def test_sysctl_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert cpu._sysctl("hw.l2cachesize") == ""


def done_here(code: int, capsys: pytest.CaptureFixture[str]) -> Done:
    """What `run` would return, of a call of main in this process."""
    captured = capsys.readouterr()
    return subprocess.CompletedProcess([], code, captured.out, captured.err)


# Mistakes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "words"), [
    ([], ["COMMAND"]),
    (["train"], ["train", "info", "demo"]),
    (["--nonsense"], []),
    (["info", "extra"], ["extra"]),
    (["info", "--epochs", "3"], ["--epochs"]),
    (["demo", "extra"], ["extra"]),
    (["demo", "--epoch", "3"], ["--epoch"]),  # no abbreviations: they would break with the next option
    (["demo", "--epochs"], ["--epochs", "expected one argument"]),
    (["demo", "--epochs", "0"], ["--epochs", "from 1 to", "'0'"]),
    (["demo", "--epochs", "-5"], ["--epochs", "'-5'"]),
    (["demo", "--epochs", "ten"], ["--epochs", "'ten'"]),
    (["demo", "--epochs", "1.5"], ["--epochs", "'1.5'"]),
    (["demo", "--epochs", "9" * 5000], ["--epochs"]),
    (["demo", "--hidden", "0"], ["--hidden", "from 1 to 1024", "'0'"]),
    (["demo", "--hidden", "1000000000"], ["--hidden"]),
    (["demo", "--seed", "-1"], ["--seed", "from 0 to", "'-1'"]),
    (["demo", "--threads", "0"], ["--threads", "'0'"]),
])  # fmt: skip
def test_wrong_options(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        _cli.main(arguments)
    assert isinstance(stop.value.code, int)
    assert_one_line_error(done_here(stop.value.code, capsys), 2, *words)


def test_wrong_options_in_a_process_of_their_own(tmp_path: Path) -> None:
    done = run("demo", "--epochs", "ten", cwd=tmp_path)
    assert_one_line_error(done, 2, "--epochs", "'ten'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "null\0character", "x" * 300])
def test_an_output_folder_that_cannot_be(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("here first")
    code = _cli.main(["demo", "--output", name])
    assert_one_line_error(done_here(code, capsys), 1, "output folder", repr(name)[1:-1])
    assert Path("file").read_text() == "here first"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the root user may write everywhere"
)
def test_an_output_folder_that_is_not_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert_one_line_error(run("demo", "--output", str(tmp_path)), 1, "output folder", "Permission denied")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc is Linux's")
def test_an_output_folder_that_takes_no_files() -> None:
    """Seen before any training, and by the root user too."""
    assert_one_line_error(run("demo", "--output", "/proc"), 1, "output folder '/proc'")


def main_in_a_process(before: str, *arguments: str, cwd: Path) -> Done:
    code = f"import sys; {before}; from lstmfast._cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=environment(),
        check=False,
    )


@pytest.mark.parametrize("missing", ["rich", "matplotlib", "safetensors"])
def test_the_demo_without_its_extra(missing: str, tmp_path: Path) -> None:
    done = main_in_a_process(f"sys.modules[{missing!r}] = None", "demo", cwd=tmp_path)
    assert_one_line_error(done, 1, missing, "pip install 'lstmfast[demo]'")
    assert list(tmp_path.iterdir()) == []


def test_a_bug_of_ours_keeps_its_traceback(tmp_path: Path) -> None:
    done = main_in_a_process("sys.modules['lstmfast._demo.train'] = None", "demo", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "pip install" not in done.stderr


# Terminals, pipes, signals ---------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["info"], ["--help"], ["--version"], ["demo", "--epochs", "1"]])
def test_a_pipe_that_nobody_reads(arguments: list[str], tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run(
            [*RUN, *arguments],
            stdout=write_end,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
    finally:
        os.close(write_end)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_disk_that_is_full() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*RUN, "info"], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor in the child")
def test_a_stdout_that_is_closed() -> None:
    done = subprocess.run(
        [*RUN, "info"], stderr=subprocess.PIPE, text=True, check=False, preexec_fn=lambda: os.close(1)
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a child")
def test_ctrl_c(tmp_path: Path) -> None:
    # A shell may start its background jobs, this test among them, with SIGINT ignored.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from lstmfast._cli import main; sys.exit(main(sys.argv[1:]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "demo", "--epochs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Training")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "KeyboardInterrupt" not in errors


def test_a_terminal_that_knows_ascii_alone(tmp_path: Path) -> None:
    env = environment({"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"})
    done = subprocess.run(
        [*RUN, "demo", "--epochs", "1", "--hidden", "4", "--output", str(tmp_path / "Übung")],
        capture_output=True,
        env=env,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    done.stdout.decode("ascii")
    done.stderr.decode("ascii")
    assert (tmp_path / "Übung" / "forecast.png").exists()
