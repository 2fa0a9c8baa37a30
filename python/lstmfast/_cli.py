"""The `lstmfast` command: options in, one clear line out when one of them cannot be had.

What a user can get wrong ends in one line on stderr and a non-zero exit code. Anything else that goes wrong
is a bug of ours, and keeps its traceback. (A bad LSTMFAST_ISA or LSTMFAST_NUM_THREADS is refused by the
import of the package, before anything here runs.)
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import lstmfast
from lstmfast._runtime import MAX_THREADS

__all__ = ["main"]

# What a shell reports for a program that a signal ended.
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, which not every platform's signal module names


class _UserError(Exception):
    """Something the user can put right; its text is the whole message."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


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
    except _UserError as error:
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
    parser = _Parser(
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
        "--epochs", metavar="N", type=_whole(1, 100_000), default=80, help="passes over the training years"
    )
    demo.add_argument(
        "--seed", metavar="N", type=_whole(0, 2**32 - 1), default=0, help="of the first weights"
    )
    demo.add_argument("--hidden", metavar="N", type=_whole(1, 1024), default=32, help="hidden units")
    demo.add_argument(
        "--threads",
        metavar="N",
        type=_whole(1, MAX_THREADS),
        default=argparse.SUPPRESS,
        help="threads to use (default: as `lstmfast info` says)",
    )
    demo.set_defaults(run=_run_demo)
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got {text!r}")
        return number

    return parse


def _run_info(options: argparse.Namespace) -> None:
    from lstmfast import _info

    print("\n".join(_info.lines()))


def _run_demo(options: argparse.Namespace) -> None:
    try:
        from lstmfast import _demo
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in {"matplotlib", "rich", "safetensors"}:
            raise
        raise _UserError(f"the demo needs {error.name}: pip install 'lstmfast[demo]'") from None

    if "threads" in options:
        lstmfast.set_num_threads(options.threads)
    _demo.run(
        _writable_folder(options.output), epochs=options.epochs, seed=options.seed, hidden=options.hidden
    )


def _writable_folder(name: str) -> Path:
    """Make the output folder and try it, so that no training is done for results that cannot be kept."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _UserError(f"cannot write to the output folder {name!r}: {reason}") from None
    return folder
