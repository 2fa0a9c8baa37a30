"""Command lines: options in, what they ask for or one line on stderr; the long work itself is left out."""

from __future__ import annotations

import contextlib
import io
from typing import Any
from unittest import mock

from lstmfast import _cli
from lstmfast._bench import shapes, suites
from lstmfast._bench.engines import ENGINES
from lstmfast._cli import command

from ..draw import Draw
from ..outcome import expect

WORDS = (
    *("info", "demo", "bench", "explain", "--version", "--help", "-h", "--", "-"),
    *(
        "--output",
        "--epochs",
        "--seed",
        "--hidden",
        "--threads",
        "--suite",
        "--full",
        "--shapes",
        "--engines",
    ),
    *("--isa", "--seconds", "--json", "--plot", "--html", suites.ALL, "classic", "gru", "avx2", "scalar"),
    *("T=100,B=1,I=64,H=64", "T=1,B=2,I=3,H=4,layers=2,cell=gru", "T=9,B=9,I=1,H=1,valid=50", "model.onnx"),
    *("2", "0.5", shapes.FORM, ",".join(ENGINES), "pytorch,numpy"),
)
KEYS = ("T", "B", "I", "H", "layers", "directions", "train", "cell", "valid", "reset", "recompute", "pool")


def word(draw: Draw) -> str:
    kind = draw.below(8)
    if kind < 4:
        return draw.one_of(WORDS)
    if kind == 4:
        return str(draw.integer())
    if kind == 5:
        parts = [
            f"{draw.one_of(KEYS)}={draw.one_of(('gru', str(draw.integer()), draw.text(3)))}"
            for _ in range(draw.below(7))
        ]
        return draw.one_of((",", ";", ", ")).join(parts)
    if kind == 6 and draw.flag():
        return f"--seconds={draw.real()}"
    if kind == 6:
        return draw.one_of(("--seconds=", "--epochs=", "--engines=", "--threads=", "--shapes=")) + draw.text()
    return draw.text()


def run(arguments: list[str]) -> tuple[object, str, Any]:
    """The exit code, what came on stderr, and the options with which work would have begun."""
    begun: list[Any] = []
    texts = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        for name in ("_run_info", "_run_demo", "_run_bench", "_run_explain"):
            stack.enter_context(mock.patch.object(command, name, begun.append))
        stack.enter_context(contextlib.redirect_stdout(texts[0]))
        stack.enter_context(contextlib.redirect_stderr(texts[1]))
        try:
            code: object = _cli.main(arguments)
        except SystemExit as error:
            code = error.code
    return code, texts[1].getvalue(), begun


def one(data: bytes) -> None:
    draw = Draw(data)
    arguments = [draw.one_of(WORDS[:4])] if draw.below(4) else []
    arguments += [word(draw) for _ in range(draw.below(6))]
    code, told, begun = run(arguments)
    if code == 0:
        expect(not told, f"{arguments}: {told!r} of what went well")
        expect(
            len(begun) == (0 if {"--version", "--help", "-h"} & set(arguments) and not begun else 1),
            f"{arguments}: {begun}",
        )
        for options in begun:
            check(options)
        return
    expect(code == 2 and not begun, f"{arguments}: exit code {code!r}")
    expect(told.startswith("lstmfast") and ": error: " in told, f"{arguments}: {told!r}")
    own = sum(
        text.count("\n") for text in arguments
    )  # line ends of the user's own, which are shown as they came
    expect(told.endswith("\n") and told.count("\n") <= 1 + own, f"{arguments}: {told!r}")


def check(options: Any) -> None:
    """What work begins with is within bounds."""
    for name, low, high in (
        ("threads", 1, 4096),
        ("epochs", 1, 100_000),
        ("hidden", 1, 1024),
        ("seed", 0, 2**32 - 1),
    ):
        if (value := getattr(options, name, None)) is not None:
            expect(low <= value <= high, f"{name}={value!r}")
    if (seconds := getattr(options, "seconds", None)) is not None:
        expect(0 < seconds <= 3600, f"seconds={seconds!r}")
    for cases in getattr(options, "shapes", ()):
        for case in cases:
            expect(min(case.T, case.B, case.I, case.H) >= 1, f"{case}")
