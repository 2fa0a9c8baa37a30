"""`lstmfast bench` on the command line: what can be asked, and what cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

import lstmfast
from lstmfast import _cli
from lstmfast._bench import command, suites
from lstmfast._bench.cases import Case
from lstmfast._bench.engines import (
    ASKED_FOR,
    BEHIND_TORCH,
    ENGINES,
    IN_JAX,
    IN_KERAS,
    IN_ONNX_RUNTIME,
    KIN,
    NO_SPINNING,
    OURS,
    QUANTIZED,
)
from lstmfast._bench.outputs import Outputs

Done: TypeAlias = "subprocess.CompletedProcess[str]"


def run(*arguments: str, env: dict[str, str] | None = None) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "lstmfast", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **(env or {})},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["clasic"],
            [
                "SUITE",
                "expected one of classic, step, deepbench, deep, odd, train, recompute, lengths, reset,"
                " gru, cells, torch, quantized, onnx, keras, jax, all",
                "'clasic'",
            ],
        ),
        (["classic", "nope"], ["'nope'"]),
        (["--shapes", "T=1"], ["--shapes", "expected T=100,B=1,I=64,H=64[,layers=2]", "no B"]),
        (["--shapes", ""], ["--shapes"]),
        (["--engines", "pytorch,theano"], ["--engines", "'theano'", "onnx-runtime-bound"]),
        (["--threads", "0"], ["--threads", "'0'"]),
        (["--isa", "mmx"], ["--isa", "mmx", "scalar"]),
        (["--seconds", "0"], ["--seconds", "'0'"]),
        (["--seconds", "nan"], ["--seconds", "'nan'"]),
        (["--seconds", "soon"], ["--seconds", "'soon'"]),
        (["--json"], ["--json"]),
    ],
)
def test_what_cannot_be_asked(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        _cli.main(["bench", *arguments])
    assert caught.value.code == 2
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith("lstmfast bench: error: ")
    assert errors.count("\n") == 1
    for word in words:
        assert word in errors


@pytest.mark.parametrize("option", ["--json", "--plot", "--html"])
def test_an_unwritable_path_is_known_before_anything_is_measured(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "run", lambda *_, **__: pytest.fail("measured"))
    assert _cli.main(["bench", option, str(tmp_path / "none" / "a")]) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors.startswith(f"lstmfast: error: {option}: cannot write to ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(("module", "arguments"), [("rich", []), ("matplotlib", ["--plot", "a.png"])])
def test_what_is_not_installed_is_named(module: str, arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules[{module!r}] = None; from lstmfast._cli import main;"
        f"sys.exit(main(['bench', *{arguments!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr == f"lstmfast: error: the benchmark needs {module}: pip install 'lstmfast[bench]'\n"
    assert list(tmp_path.iterdir()) == []


def asked_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[tuple[Case, ...], dict[str, Any]]:
    """What the command line asks `command.run` for."""
    asked: list[tuple[tuple[Case, ...], dict[str, Any]]] = []
    monkeypatch.setattr(command, "run", lambda cases, **options: asked.append((cases, options)))
    assert _cli.main(["bench", *arguments]) == 0
    return asked[0]


def test_nothing_asked_is_the_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LSTMFAST_ISA", raising=False)
    cases, options = asked_of(monkeypatch)
    assert cases == suites.quick()
    assert options.pop("outputs") == Outputs()
    assert options == {
        "engines": {name: spec for name, spec in ENGINES.items() if name not in ASKED_FOR},
        "threads": 1,
        "isa": None,
        "seconds": command.SECONDS,
        "deadline": command.QUICK_DEADLINE,
        "latency_seconds": 0.0,
    }
    assert command.QUICK_DEADLINE < 110


SMALL = {OURS, *QUANTIZED, "PyTorch", "ONNX Runtime", "ONNX Runtime bound", "OpenVINO"}
SMALL |= {"PyTorch int8", "ONNX Runtime int8"}
USUAL = set(ENGINES) - ASKED_FOR
IN_ORT = {"lstmfast in ONNX Runtime", "ONNX Runtime bound"}
SHAPE = ["--shapes", "T=2,B=1,I=1,H=1"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["step"], USUAL),
        (SHAPE, USUAL),
        (["torch"], USUAL | {*BEHIND_TORCH}),
        (["step", "torch"], USUAL | {*BEHIND_TORCH}),
        (["gru"], USUAL),
        (["cells"], {OURS, *BEHIND_TORCH, "PyTorch"}),
        (["quantized"], SMALL),
        (["--suite", "quantized"], SMALL),
        (["step", "quantized"], USUAL | {*QUANTIZED}),
        (["quantized", *SHAPE], USUAL | {*QUANTIZED}),
        (["torch", "quantized"], USUAL | {*BEHIND_TORCH, *QUANTIZED}),
        (["onnx"], {OURS, *IN_ORT}),
        (["onnx", "--threads", "2"], {OURS, *IN_ORT, *NO_SPINNING}),
        (["--suite", "onnx", "step"], USUAL | IN_ORT),
        (["keras"], {OURS, *IN_KERAS, *IN_KERAS.values()}),
        (["jax"], {OURS, "lstmfast in JAX", "JAX"}),
        (["all"], set(ENGINES) - NO_SPINNING),
        (["--full"], set(ENGINES) - NO_SPINNING),
        (["--full", "--threads", "2"], set(ENGINES)),
    ],
    ids=lambda value: str(sorted(value) if isinstance(value, set) else value),  # the same in every process
)
def test_a_suite_brings_its_engines(
    arguments: list[str], names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(ENGINES) > KIN == {*QUANTIZED, *BEHIND_TORCH, *IN_ONNX_RUNTIME, *IN_KERAS, *IN_JAX}
    asked = asked_of(monkeypatch, *arguments)[1]["engines"]
    assert asked == {name: spec for name, spec in ENGINES.items() if name in names}


@pytest.mark.parametrize("name", sorted(ASKED_FOR))
def test_kin_is_measured_anywhere_if_it_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    named = asked_of(monkeypatch, "step", "--engines", name.replace(" ", "-"))[1]["engines"]
    assert list(named) == [OURS, name]


def test_full_and_suites_are_measured_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, names in ((["--full"], ["all"]), (["odd", "step"], ["odd", "step"]), (["all"], ["all"])):
        cases, options = asked_of(monkeypatch, *arguments)
        assert cases == suites.select(names)
        assert options["deadline"] is None
        assert options["latency_seconds"] == command.LATENCIES * command.SECONDS


def test_suites_may_be_named_by_option(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_of(monkeypatch, "--suite", "step")[0] == suites.SUITES["step"]
    assert asked_of(monkeypatch, "odd", "--suite", "step")[0] == suites.select(["odd", "step"])
    with pytest.raises(SystemExit):
        _cli.main(["bench", "--suite", "nosuch"])


def test_shapes_come_alone_or_after_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    own = (Case(2, 1, 1, 1), Case(3, 1, 1, 1), Case(4, 1, 1, 1))
    shapes = ["--shapes", "T=2,B=1,I=1,H=1;T=3,B=1,I=1,H=1", "--shapes", "T=4,B=1,I=1,H=1"]
    assert asked_of(monkeypatch, *shapes)[0] == own
    assert asked_of(monkeypatch, "step", *shapes)[0] == suites.SUITES["step"] + own


def test_engines_are_chosen_in_either_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    _, options = asked_of(monkeypatch, "--engines", "onnx-runtime-bound, PyTorch")
    assert list(options["engines"]) == [OURS, "PyTorch", "ONNX Runtime bound"]


def test_an_isa_of_the_environment_holds_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMFAST_ISA", "scalar")
    assert asked_of(monkeypatch)[1]["isa"] == "scalar"
    isa = lstmfast.available_isas()[0]
    assert asked_of(monkeypatch, "--isa", isa)[1]["isa"] == isa


@pytest.mark.beside_torch
def test_a_real_run_over_what_is_installed(tmp_path: Path) -> None:
    """Tiny shapes; every engine that is here must be right in every row that it does."""
    files = [f"--{kind}={tmp_path / name}" for kind, name in (("json", "a"), ("plot", "b"), ("html", "c"))]
    shapes = "T=1,B=1,I=2,H=8;T=4,B=2,I=3,H=25,layers=2,directions=2;T=4,B=2,I=3,H=5,train=1"
    shapes += ";T=4,B=2,I=3,H=5,cell=rnn;T=4,B=2,I=3,H=5,cell=gru,train=1,stepwise=1"
    done = run("--shapes", shapes, "--seconds", "0.01", "--threads", "1", "--isa", "scalar", *files)
    assert done.returncode == 0, done.stderr
    assert "geometric mean" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}
    saved = json.loads((tmp_path / "a").read_text())
    assert saved["isa"] == "scalar"
    assert saved["settings"]["environment"]["LSTMFAST_ISA"] == "scalar"
    assert [(row["T"], row["work"]) for row in saved["rows"]] == [
        (1, "step"),
        (4, "sequence"),
        (4, "train"),
        (4, "sequence"),
        (4, "train"),
    ]
    assert [row["cell"] for row in saved["rows"]] == ["lstm"] * 3 + ["rnn", "gru"]
    assert [row["stepwise"] for row in saved["rows"]] == [False] * 4 + [True]
    assert saved["targets"] == []
    there = {engine["name"] for engine in saved["engines"] if engine["missing"] is None}
    assert there >= {OURS, "NumPy"}
    for row in saved["rows"]:
        assert set(row["cells"]) == there
        assert {cell["status"] for cell in row["cells"].values()} <= {"ok", "unsupported"}
        done_by = {name for name, cell in row["cells"].items() if cell["status"] == "ok"} - {OURS}
        assert (row["fastest_other"] in done_by) if done_by else row["fastest_other"] is None
        assert row["limit_reached"] > 0
        assert np.isfinite(row["gflops"])
