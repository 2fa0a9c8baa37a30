"""What a call may come to: a result, or an exception of a documented kind that says something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

REFUSED: Any = type("Refused", (), {"__repr__": lambda _: "REFUSED"})()
KINDS = (TypeError, ValueError)


def outcome(call: Callable[[], Any], *more: type[Exception], words: str = "") -> Any:
    """The result, or `REFUSED`. Other exceptions go on, as finds. words: a message begins with them."""
    try:
        return call()
    except Exception as error:
        if not isinstance(error, (*KINDS, *more)):
            raise
        text = str(error)
        if not text.strip() or not text.startswith(words):
            raise AssertionError(f"{type(error).__name__} says {text!r}") from error
        return REFUSED


def expect(holds: Any, what: str) -> None:
    """Raise a find."""
    if not holds:
        raise AssertionError(what)
