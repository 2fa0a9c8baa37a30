"""A disk that is full, and a writer that is killed: the file is the old one or the new one, and whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import make

pytest.importorskip("safetensors")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Saves a model over another one's file, in a child process where no file may be larger than some size; prints
# of each size how the child ended, which file there is and how many others. argv: the file, whether the
# signal is ignored, sizes.
LIMITED = """
import errno, os, resource, signal, sys
import lstmfast
path, ignored, sizes = sys.argv[1], sys.argv[2] == "ignored", sys.argv[3:]
old, new = lstmfast.LSTM(3, 5, seed=0), lstmfast.LSTM(3, 40, seed=1)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for size in map(int, sizes):
    old.save(path)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignored else signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            new.save(path)
        except OSError as error:
            os._exit(10 if error.errno == errno.EFBIG else 11)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = lstmfast.load(path)
    now = "old" if found.hidden_size == 5 else "new"
    same = all((found.parameters[n] == w).all() for n, w in (old if now == "old" else new).parameters.items())
    others = [name for name in os.listdir(os.path.dirname(path)) if name != os.path.basename(path)]
    print(size, os.waitstatus_to_exitcode(status), now if same else "broken", len(others))
    for name in others:
        assert name.startswith(".lstmfast-") and name.endswith(".tmp"), name
        os.unlink(os.path.join(os.path.dirname(path), name))
"""


def sizes_of(path: Path) -> tuple[list[int], int]:
    """Some sizes below that of the new file of the script above, and that size."""
    make("lstm", 3, 40, seed=1).save(path)
    whole = path.stat().st_size
    return [*range(0, 400, 50), whole // 2, whole - 1], whole


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    below, whole = sizes_of(path)
    said = run_python(LIMITED, str(path), "ignored", *map(str, [*below, whole]))
    assert said.splitlines() == [*(f"{size} 10 old 0" for size in below), f"{whole} 0 new 0"]


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """By the signal for files that become too large, so at known places.

    Beside the file lies what there was of the new one.
    """
    path = tmp_path / "model"
    below, whole = sizes_of(path)
    said = run_python(LIMITED, str(path), "deadly", *map(str, [*below, whole]))
    killed = -signal.SIGXFSZ
    assert said.splitlines() == [*(f"{size} {killed} old 1" for size in below), f"{whole} 0 new 0"]


# Kills a child at its n-th look at the file system while it saves, and others at any time; argv: the file.
KILLED = """
import os, random, signal, sys, time
import lstmfast
path = sys.argv[1]
folder = os.path.dirname(path)
models = [lstmfast.LSTM(3, size, seed=size) for size in (5, 40)]
texts = []
for model in models:
    model.save(path)
    texts.append(open(path, "rb").read())

def look():
    text = open(path, "rb").read()
    assert text in texts, f"a file of {len(text)} bytes"
    lstmfast.load(path)
    left = [name for name in os.listdir(folder) if name != os.path.basename(path)]
    assert all(name.startswith(".lstmfast-") and name.endswith(".tmp") for name in left), left
    assert len(left) <= 1, left  # of the save that was killed
    for name in left:
        os.unlink(os.path.join(folder, name))
    return texts.index(text)

def child_of(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child

def killed_at(place):
    models[0].save(path)
    def work():
        left = [place]
        def hook(event, arguments):
            if event in ("open", "os.rename", "os.remove"):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(hook)
        models[1].save(path)
    _, status = os.waitpid(child_of(work), 0)
    return os.waitstatus_to_exitcode(status), look()

places = []
while not places or places[-1][0] != 0:
    places.append(killed_at(len(places)))
print(*(f"{ended} {which}" for ended, which in places), sep=", ")

def save_on():
    while True:
        for model in models:
            model.save(path)

chance = random.Random(0)
seen = set()
for _ in range(int(sys.argv[2])):
    child = child_of(save_on)
    time.sleep(chance.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    seen.add(look())
print(*sorted(seen))
"""


def test_a_writer_that_is_killed_at_any_time(tmp_path: Path) -> None:
    path = tmp_path / "model"
    places, seen = run_python(KILLED, str(path), "100").splitlines()
    *killed, last = places.split(", ")
    assert len(killed) >= 2  # before the new file is opened, and before it is put in its place
    assert set(killed) == {f"{-signal.SIGKILL} 0"}
    assert last == "0 1"
    assert seen == "0 1"


def test_a_file_system_without_room(tmp_path: Path) -> None:
    """One of 64 KiB, where this user may mount it."""
    done = None
    if shutil.which("mount"):
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "lstmfast", str(tmp_path)]
        done = subprocess.run(mount, capture_output=True, check=False)
    if done is None or done.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        path = tmp_path / "model"
        old = lstmfast.LSTM(3, 20, seed=0)
        old.save(path)
        before = path.read_bytes()
        with pytest.raises(OSError, match="space"):
            lstmfast.LSTM(3, 100, seed=0).save(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["model"]
        lstmfast.LSTM(3, 10, seed=0).save(path)
        assert lstmfast.load(path).hidden_size == 10
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_device_that_is_full() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OSError, match="space"):
        make("lstm", 3, 5).save("/dev/full")
