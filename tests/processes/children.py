"""A program whose children go on with what it has: a model, a stream, a pool, in the midst of use.

A file of its own, for children of `spawn` and `forkserver` import the module that they were begun from.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from typing import Any

import numpy as np

import lstmfast


class Session:
    """What a program has that serves: used in part, and pickled with all that."""

    def __init__(self) -> None:
        self.model = lstmfast.LSTM(40, 130, num_layers=2, seed=0)
        self.small = lstmfast.GRU(4, 8, seed=1).quantize("int8")
        self.stream: Any = self.model.stream(batch=2)
        self.small_stream: Any = self.small.stream()
        self.pool: Any = self.model.stream_pool(6)
        self.ids = [self.pool.open() for _ in range(6)]
        self.pool.close(self.ids.pop(2))
        self.x = np.random.default_rng(0).standard_normal((12, 5, 40)).astype("f")
        self.go_on()

    def go_on(self) -> bytes:
        """Use all of it once more; the streams are further then."""
        y, _, tape = self.model.forward(self.x)
        grads = self.model.backward(tape, y)
        results = (
            y,
            grads.x,
            *grads.parameters.values(),
            self.stream.step(self.x[0, :2]),
            self.stream.run(self.x[:, :2]),
            self.small_stream.step(self.x[0, 0, :4]),
            self.pool.step(self.ids[::-1], self.x[1]),
        )
        return b"".join(array.tobytes() for array in results)


def begin() -> None:
    """Two threads of the core, however busy the machine is: nothing of that is a pickle's."""
    lstmfast.set_num_threads(2)
    lstmfast._core.ignore_crowding(True)


def child(method: str, session: Session, generations: int, say: Any) -> None:
    """Go on twice and say what came of it; then a child of this one does, from there."""
    begin()
    say.send([session.go_on(), session.go_on()])
    if generations > 1:
        answered = ask(method, session, generations - 1)
        say.send(answered)


def ask(method: str, session: Session, generations: int) -> list[bytes]:
    """What so many generations of children say, one after the other."""
    context: Any = multiprocessing.get_context(method)
    hear, say = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(method, session, generations, say))
    process.start()
    say.close()
    try:
        found: list[bytes] = hear.recv()
        if generations > 1:
            found += hear.recv()
    finally:
        process.join(120)
        if process.is_alive():
            process.kill()
    assert process.exitcode == 0, process.exitcode
    return found


LOADED: list[Session] = []


def load(session: Session) -> None:
    """Take what a worker of a pool of processes has, as one does that prepares data."""
    begin()
    LOADED.append(session)


def prepare(n: int) -> bytes:
    """Run the model on one of the pieces."""
    session = LOADED[0]
    return session.model(session.x[: n + 1])[0].tobytes()


def main(method: str) -> None:
    """Compare what children say with what this process makes of a session of its own."""
    begin()
    here, theirs = Session(), Session()
    wanted = [here.go_on() for _ in range(4)]
    stop = threading.Event()

    def use() -> None:
        while not stop.is_set():
            theirs.model(theirs.x)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        found = ask(method, theirs, 2)
        context: Any = multiprocessing.get_context(method)
        with context.Pool(2, load, (theirs,)) as pool:
            prepared = pool.map_async(prepare, range(8), chunksize=1).get(120)
    finally:
        stop.set()
        thread.join()
    print(found == wanted, prepared == [here.model(here.x[: n + 1])[0].tobytes() for n in range(8)])
    print(theirs.go_on() == wanted[0])  # what children did to their streams, they did to theirs


if __name__ == "__main__":
    main(sys.argv[1])
