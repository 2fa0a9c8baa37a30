"""Files that appear at once and whole: written beside their place, then put there.

The one way in which this package writes files for its users. What was there before stays until the new file
is complete and on disk, and stays if anything fails.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import stat
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file, in the place of what there may be under its name.

    A link stays a link: what it leads to is replaced. A file that is replaced leaves its permissions to the
    new one, which otherwise has those of any new file. What cannot be replaced, a device or a pipe, is
    written to.

    Raises
    ------
    OSError
        If the file cannot be written; FileNotFoundError if its folder is not there.
    """
    text = os.fspath(path)
    before = _found(text)
    if not _can_be_replaced(text, before):
        with open(text, "wb") as file:
            file.write(data)
        return
    with _beside(text, before) as (file, target):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # or a power failure could leave the new name on an empty file
        file.close()  # Windows moves no file that is open
        os.replace(file.name, target)


def check(path: str | os.PathLike[str]) -> None:
    """Find out whether `write` would do, as far as that can be known; nothing is changed.

    Raises
    ------
    OSError
        As `write` would.
    """
    text = os.fspath(path)
    before = _found(text)
    if not _can_be_replaced(text, before):
        with open(text, "ab"):
            return
    with _beside(text, before) as (file, _):
        file.close()
        os.unlink(file.name)


def picture(figure: Figure, kind: str) -> bytes:
    """Draw a picture of some kind, png say, as its file's bytes: one that cannot be drawn leaves no file."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format=kind)
    return drawn.getvalue()


def _found(text: str) -> os.stat_result | None:
    try:
        return os.stat(text)
    except FileNotFoundError:
        return None


def _can_be_replaced(text: str, before: os.stat_result | None) -> bool:
    """Whether it is a file, or will be one: no device, pipe or folder, nor what this process holds open."""
    if not os.path.basename(text) or text.startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return False
    return before is None or stat.S_ISREG(before.st_mode)


@contextlib.contextmanager
def _beside(text: str, before: os.stat_result | None) -> Iterator[tuple[BinaryIO, str]]:
    """Open a new file in the folder of the one to be replaced, which is the other thing given."""
    target = os.path.realpath(text)
    temporary = os.path.join(os.path.dirname(target), f".lstmfast-{uuid.uuid4().hex}.tmp")
    file = _opened(temporary, text, private=before is not None)
    try:
        with file:
            if before is not None and hasattr(os, "fchmod"):  # Windows has other permissions
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            yield file, target
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _opened(temporary: str, text: str, private: bool) -> BinaryIO:
    """Open a new file; what goes wrong is said of `text`, which the user has heard of."""
    opener = functools.partial(os.open, mode=0o600 if private else 0o666)
    try:
        return open(temporary, "xb", opener=opener)
    except OSError as error:
        error.filename = text
        raise
