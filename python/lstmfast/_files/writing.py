"""Files that appear at once and whole: written beside their place, then put there.

The one way in which this package writes files for its users. What was there before stays until the new file
is complete and on disk, and stays if anything fails; of several files that belong together, all of them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
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
    write_all({path: data})


def write_all(files: Mapping[str | os.PathLike[str], bytes | memoryview]) -> None:
    """Write files that belong together: all of them as `write` does, or none.

    All are complete and on disk before the first is put in its place. Where one cannot be put there, those
    that were are taken back. (What is written to, a device or a pipe, has then been written to.)

    Raises
    ------
    OSError
        If one cannot be written; it names that one.
    """
    with contextlib.ExitStack() as unfinished:
        ready, others = [], []
        for path, data in files.items():
            text = os.fspath(path)
            before = _found(text)
            if not _can_be_replaced(text, before):
                others.append((text, data))
                continue
            file, target = unfinished.enter_context(_beside(text, before))
            with _said_of(text):
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # or a power failure could leave the new name on an empty file
                file.close()  # Windows moves no file that is open
            ready.append((text, file.name, target, before is not None))
        for text, data in others:
            with open(text, "wb") as file, _said_of(text):
                file.write(data)
        _put(ready)


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


def _put(ready: list[tuple[str, str, str, bool]]) -> None:
    """Put files in their places: each the path given, the new file, its place, and whether one is there."""
    replaced: list[tuple[str, str | None]] = []  # places, and where what was there is kept
    try:
        for k, (text, temporary, target, there) in enumerate(ready):
            with _said_of(text):
                if k < len(ready) - 1:  # after the last, nothing can go wrong any more
                    replaced.append((target, _kept(target) if there else None))
                os.replace(temporary, target)
    except BaseException:
        for target, kept in reversed(replaced):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(target) if kept is None else os.replace(kept, target)
        raise
    finally:
        for _, kept in replaced:
            if kept is not None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(kept)


def _kept(target: str) -> str:
    """Give a file a second name; where the file system has no such thing, copy it."""
    name = os.path.join(os.path.dirname(target), f".lstmfast-{uuid.uuid4().hex}.tmp")
    try:
        os.link(target, name)
    except OSError:
        shutil.copy2(target, name)
    return name


@contextlib.contextmanager
def _said_of(text: str) -> Iterator[None]:
    """Name in errors the path that the user has heard of, not the file beside it, or none."""
    try:
        yield
    except OSError as error:
        error.filename = text
        if error.filename2 is not None:
            del error.filename2  # None would be shown
        raise


def _opened(temporary: str, text: str, private: bool) -> BinaryIO:
    """Open a new file; what goes wrong is said of `text`, which the user has heard of."""
    opener = functools.partial(os.open, mode=0o600 if private else 0o666)
    with _said_of(text):
        return open(temporary, "xb", opener=opener)
