# Known by: __main__
"""The `lstmfast` command, and what `lstmfast info` says."""

from lstmfast._cli.command import main

__all__ = ["main"]
