"""The `lstmfast` command: options in, one clear line out when one of them cannot be had.

What a user can get wrong ends in one line on stderr and a non-zero exit code. Anything else that goes wrong
is a bug of ours, and keeps its traceback. (A bad LSTMFAST_ISA or LSTMFAST_NUM_THREADS ends so, too, but in
`_base.runtime`, because the package is imported before anything here runs.)
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lstmfast
from lstmfast._base.runtime import MAX_THREADS
from lstmfast._cli import forecast
from lstmfast._cli.options import Parser, UserError, add_threads, use_threads, whole

if TYPE_CHECKING:
    from lstmfast._bench.cases import Case

__all__ = ["main"]

# What a shell reports for a program that a signal ended.
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which not every platform's signal module names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code: 0, 1 for what cannot be done, 130 after Ctrl-C, 141 when nobody reads the output any
        more. Options that are wrong exit with 2 (SystemExit), as argparse does.
    """
    # A path or a CPU's name may hold characters that the terminal's encoding lacks.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            options = _parser().parse_args(argv)
            options.run(options)
        finally:
            # Here and not when Python exits, where a closed pipe can no longer be handled. Also for --help.
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return EXIT_BROKEN_PIPE
    except UserError as error:
        return _fail(str(error))
    except OSError as error:
        _discard_output()
        return _fail(str(error))
    except MemoryError as error:
        return _fail(f"not enough memory: {error}")
    return 0


def _fail(message: str) -> int:
    print(f"lstmfast: error: {message}", file=sys.stderr)
    return 1


def _discard_output() -> None:
    """Send what stdout still holds nowhere, so that Python does not try to write it once more at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="lstmfast",
        description="The LSTM for CPUs: fused SIMD kernels, forward and backward.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lstmfast {lstmfast.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)

    info = commands.add_parser(
        "info",
        help="version, ISAs, threads and caches as the package sees them",
        description="Say what the package and this machine have: version, ISAs, threads, CPU and caches.",
        allow_abbrev=False,
    )
    info.set_defaults(run=_run_info)

    demo = commands.add_parser(
        "demo",
        help="train an LSTM on the sunspot numbers, forecast held-out years, measure the speed",
        description="Train an LSTM on the yearly sunspot numbers, compare its forecast of held-out years "
        "with the naive one, show vanishing and exploding gradients, and measure the model's speed against "
        "NumPy. Pictures and the trained weights go to the output folder.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    demo.add_argument("--output", metavar="DIR", default="lstmfast-demo", help="folder for what is saved")
    demo.add_argument(
        "--epochs", metavar="N", type=whole(1, 100_000), default=80, help="passes over the training years"
    )
    demo.add_argument("--seed", metavar="N", type=whole(0, 2**32 - 1), default=0, help="of the first weights")
    demo.add_argument("--hidden", metavar="N", type=whole(1, 1024), default=32, help="hidden units")
    add_threads(demo)
    demo.set_defaults(run=_run_demo)

    forecast.add(commands)

    explain = commands.add_parser(
        "explain",
        help="which nodes of an ONNX model would run on lstmfast inside ONNX Runtime, and why not the others",
        description="Say of every LSTM, GRU and RNN node of an ONNX model whether it would run on lstmfast "
        "in `lstmfast.onnx.session`, and if not, why. Needs onnxruntime.",
        allow_abbrev=False,
    )
    explain.add_argument("model", metavar="MODEL.onnx", help="the model's file")
    explain.set_defaults(run=_run_explain)

    _add_bench(commands)
    return parser


def _add_bench(commands: argparse._SubParsersAction[Parser]) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure lstmfast beside every LSTM engine that is installed",
        description="Measure lstmfast beside every LSTM engine that is installed, on the same weights, each "
        "result checked before it is timed. Without a suite or shapes: some rows of every suite, in less "
        "than two minutes.",
        allow_abbrev=False,
    )
    bench.add_argument(
        "suites",
        metavar="SUITE",
        nargs="*",
        type=_suite,
        help="measure it whole: classic, step, deepbench, deep, odd, train, recompute, lengths, reset, gru,"
        " cells, torch, quantized, onnx, keras, jax or all",
    )
    bench.add_argument(
        "--suite",
        dest="also",
        metavar="SUITE",
        action="append",
        type=_suite,
        default=[],
        help="the same; the option can be repeated",
    )
    bench.add_argument("--full", action="store_true", help="the same as the suite all")
    bench.add_argument(
        "--shapes",
        metavar="SHAPES",
        action="append",
        type=_shapes,
        default=[],
        help="shapes of one's own: T=100,B=1,I=64,H=64[,layers=2][,directions=2][,train=1][,cell=gru]"
        "[,valid=65][,reset=1][,recompute=1][,pool=1][,stepwise=1]; more than one with ; between "
        "them, or the option repeated; T=1 is a step whose state is carried on; valid: rows have lengths of "
        "their own, so many percent of T*B steps in all; reset: rows start anew at so many percent of them; "
        "recompute: training without gates in the tape; pool: a step of B streams, each with its own state, "
        "in any order; stepwise: every step a call of its own, as of a step module",
    )
    bench.add_argument(
        "--engines",
        metavar="NAMES",
        type=_engines,
        help="measure only these beside lstmfast, with commas between them (default: all that are installed,"
        " but for lstmfast's own other kinds, which the suites cells, torch, quantized, onnx, keras and jax"
        " measure)",
    )
    bench.add_argument(
        "--threads", metavar="N", type=whole(1, MAX_THREADS), default=1, help="for every engine (default: 1)"
    )
    bench.add_argument(
        "--isa",
        choices=lstmfast.available_isas(),
        default=os.environ.get("LSTMFAST_ISA", "").strip() or None,
        help="hold lstmfast to this instruction set, and the other engines as far as they can be",
    )
    bench.add_argument(
        "--seconds", metavar="S", type=_seconds, help="time for each engine in each row (default: 0.3)"
    )
    for name, what in (
        ("json", "everything, all rounds included"),
        ("plot", "a picture of speed-ups and roofline: PNG, or SVG or PDF by its name"),
        ("html", "one page with pictures and tables that opens from disk"),
    ):
        bench.add_argument(f"--{name}", metavar="PATH", type=Path, help=f"write {what}")
    bench.set_defaults(run=_run_bench)


def _suite(text: str) -> str:
    """Check a suite's name."""
    from lstmfast._bench import suites

    try:
        suites.select([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _shapes(text: str) -> tuple[Case, ...]:
    """Read shapes of the user's own."""
    from lstmfast._bench import shapes

    try:
        return shapes.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _engines(text: str) -> list[str]:
    """Read engines' names, written small and with hyphens or as the table has them."""
    from lstmfast._bench.engines import ENGINES

    known = {name.lower().replace(" ", "-"): name for name in ENGINES}
    wanted = {part.strip().lower().replace(" ", "-") for part in text.split(",")}
    if unknown := sorted(wanted - set(known)):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(known)}, got {unknown[0]!r}")
    return [name for key, name in known.items() if key in wanted]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 3600:  # not true of NaN
        raise argparse.ArgumentTypeError(f"expected seconds, above 0 and at most 3600, got {text!r}")
    return seconds


def _run_info(options: argparse.Namespace) -> None:
    from lstmfast._cli import info

    print("\n".join(info.lines()))


def _run_explain(options: argparse.Namespace) -> None:
    from lstmfast import onnx

    try:
        found = onnx.explain(options.model)
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from None
    except Exception as error:
        # ONNX Runtime's own, of a model that it refuses, have no class in common but this.
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        raise UserError(f"onnxruntime refuses {options.model!r}: {error}") from None
    print(found)


def _run_demo(options: argparse.Namespace) -> None:
    try:
        from lstmfast import _demo
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"matplotlib", "rich", "safetensors"}:
            raise
        raise UserError(f"the demo needs {error.name}: pip install 'lstmfast[demo]'") from None

    use_threads(options)
    _demo.run(
        _writable_folder(options.output), epochs=options.epochs, seed=options.seed, hidden=options.hidden
    )


def _run_bench(options: argparse.Namespace) -> None:
    try:
        from lstmfast._bench import command, outputs, suites
        from lstmfast._bench.engines import ENGINES, OURS

        files = outputs.Outputs(options.json, options.plot, options.html)
        files.check()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"matplotlib", "rich"}:
            raise
        raise UserError(f"the benchmark needs {error.name}: pip install 'lstmfast[bench]'") from None
    except outputs.UnwritableError as error:
        raise UserError(str(error)) from None

    names = [suites.ALL] if options.full else options.suites + options.also
    own = tuple(case for cases in options.shapes for case in cases)
    quick = not names and not own
    cases = suites.quick() if quick else suites.select(names) + own
    chosen = suites.engines(cases, options.threads) if options.engines is None else options.engines
    seconds = options.seconds or command.SECONDS
    try:
        command.run(
            cases,
            engines={name: spec for name, spec in ENGINES.items() if name in {OURS, *chosen}},
            threads=options.threads,
            isa=options.isa,
            seconds=seconds,
            # Who says how long each may take, may wait.
            deadline=command.QUICK_DEADLINE if quick and options.seconds is None else None,
            latency_seconds=0.0 if quick else command.LATENCIES * seconds,
            outputs=files,
        )
    except command.BenchError as error:
        raise UserError(str(error)) from None


def _writable_folder(name: str) -> Path:
    """Make the output folder and try it, so that no training is done for results that cannot be kept."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(f"cannot write to the output folder {name!r}: {reason}") from None
    return folder
