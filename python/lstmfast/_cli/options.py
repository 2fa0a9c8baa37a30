"""What every command's options are made of, and how what is wrong with them is said: in one line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

import lstmfast
from lstmfast._base.runtime import MAX_THREADS

__all__ = ["Parser", "UserError", "add_threads", "use_threads", "whole"]


class UserError(Exception):
    """Something the user can put right; its text is the whole message."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line on stderr, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def whole(low: int, high: int) -> Callable[[str], int]:
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


def add_threads(parser: Parser) -> None:
    """Add the option of commands that use as many threads as the package does anyway, unless told."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=whole(1, MAX_THREADS),
        help="threads to use (default: as `lstmfast info` says)",
    )


def use_threads(options: argparse.Namespace) -> None:
    """Use as many as it says."""
    if options.threads is not None:
        lstmfast.set_num_threads(options.threads)
