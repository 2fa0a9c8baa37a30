"""Environment variables and control groups: what they may say, or a ValueError that names the variable."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from pathlib import Path
from unittest import mock

from lstmfast._base import runtime

from ..draw import Draw
from ..outcome import REFUSED, expect, outcome


def text_of(draw: Draw) -> str:
    """What an environment can hold: anything but the null character."""
    kind = draw.below(5)
    if kind == 0:
        return draw.one_of((*runtime.available_isas(), "AVX2", "4096", "4097", "0", "1", " 2 ", "+3", "1_0"))
    if kind == 1:
        return str(draw.integer())
    if kind == 2:
        return draw.one_of((" ", "", "\t")) + str(draw.byte()) + draw.one_of((" ", "", "\n"))
    return draw.take(24).decode("utf-8", "surrogateescape").replace("\0", "")


@functools.cache
def folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="fuzz-environment-"))
    for name in ("a", "a/b", "cpu", "cpu,cpuacct", "unified"):
        (made / name).mkdir()
    return made


def one_variable(draw: Draw) -> None:
    text = text_of(draw)
    with mock.patch.dict(os.environ, {"LSTMFAST_ISA": text, "LSTMFAST_NUM_THREADS": text}):
        isa = outcome(runtime.isa_from_environment, words="LSTMFAST_ISA: expected ")
        threads = outcome(runtime.threads_from_environment, words="LSTMFAST_NUM_THREADS: expected ")
    plain = text.strip()
    if not plain:
        expect(isa == runtime.available_isas()[0], "an empty variable is the fastest")
        expect(1 <= threads <= 4096, "an empty variable is as many as there are CPUs")
        return
    expect(
        isa == (plain if plain in runtime.available_isas() else REFUSED), f"LSTMFAST_ISA={text!r}: {isa!r}"
    )
    number = re.fullmatch("[0-9]{1,9}", plain)
    right = int(plain) if number and 1 <= int(plain) <= 4096 else REFUSED
    expect(threads == right, f"LSTMFAST_NUM_THREADS={text!r}: {threads!r}")


def one_quota(draw: Draw) -> None:
    """Files of control groups hold anything; a quota is a number above 0, or none."""
    for name in ("cpu.max", "a/cpu.max", "a/b/cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"):
        (folder() / name).write_bytes(content(draw))
    paths = (b"0::/a/b", b"0::/a", b"4:cpu:/", b"4:cpu,cpuacct:/a", b"0::/../..", b":::", draw.take(12))
    membership = folder() / "membership"
    membership.write_bytes(b"\n".join(draw.one_of(paths) for _ in range(draw.below(4))))
    quota = runtime.cgroup_quota(membership, folder())
    expect(quota is None or quota > 0, f"a quota of {quota!r}")


def content(draw: Draw) -> bytes:
    kind = draw.below(4)
    if kind == 0:
        return b"max 100000\n"
    if kind == 1:
        return f"{draw.integer()} {draw.integer()}".encode()
    if kind == 2:
        return str(draw.integer()).encode()
    return draw.take(draw.below(20))


def one(data: bytes) -> None:
    draw = Draw(data)
    if draw.below(4):
        one_variable(draw)
    else:
        one_quota(draw)
