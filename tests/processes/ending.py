"""Interpreters that end while threads are inside the core: many of them, in little time.

A script imports lstmfast once and forks: each child is an interpreter that ends as any does, with all that
Python does then, and takes a tenth of what a fresh one takes.
"""

from __future__ import annotations

import re
import signal

CHILDREN = """
import atexit, faulthandler, os, pickle, signal, sys, threading, time, warnings
import numpy as np
import lstmfast
warnings.simplefilter("ignore")  # of forks beside threads, which NumPy's BLAS may have
lstmfast.set_num_threads(2)
lstmfast._core.ignore_crowding(True)  # two threads, however busy the machine is

def children(scenario, count, seconds=60):
    "How so many children ended that ran `scenario(n)` and then all that an interpreter runs: None is a hang."
    found = []
    for n in range(count):
        pid = os.fork()
        if pid == 0:
            scenario(n)
            sys.exit()
        deadline, done = time.monotonic() + seconds, 0
        while not done and time.monotonic() < deadline:
            time.sleep(0.002)
            done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        found.append(os.waitstatus_to_exitcode(status) if done else None)
    return found
"""

# What a thread does again and again, by name: each is made for one thread and is then called.
WORKS = """
def ones(*shape):
    return np.ones(shape, "f")

def inferring():
    model, x = lstmfast.LSTM(40, 128, 2, seed=0), ones(20, 2, 40)
    return lambda: model(x)

def inferring_with_lengths():
    model, x = lstmfast.GRU(40, 96, bidirectional=True, seed=0), ones(20, 6, 40)
    return lambda: model(x, lengths=[20, 3, 0, 7, 7, 1])

def forward():
    model, x = lstmfast.LSTM(40, 128, seed=0), ones(20, 5, 40)
    return lambda: model.forward(x)

def backward():
    model, x = lstmfast.LSTM(40, 128, seed=0), ones(20, 5, 40)
    y, _, tape = model.forward(x)
    return lambda: model.backward(tape, y)

def training():
    model, x = lstmfast.LSTM(40, 64, seed=0), ones(20, 5, 40)
    adam = lstmfast.training.Adam(model)
    def step():
        y, _, tape = model.forward(x)
        adam.step(model.backward(tape, y).parameters)
    return step

def stream_steps():  # too long to keep the GIL
    stream, x = lstmfast.LSTM(40, 256, seed=0).stream(), ones(40)
    return lambda: stream.step(x)

def short_steps():  # too short to release it
    stream, x = lstmfast.LSTM(4, 16, seed=0).stream(), ones(4)
    return lambda: stream.step(x)

def chunks():
    stream, x = lstmfast.GRU(40, 128, seed=0).stream(2), ones(20, 2, 40)
    return lambda: stream.run(x)

def pool_steps():
    pool = lstmfast.LSTM(40, 128, seed=0).stream_pool(20)
    ids = np.array([pool.open() for _ in range(20)])
    x = ones(20, 40)
    return lambda: pool.step(ids, x)

def pools_that_grow():
    model = lstmfast.LSTM(4, 64, seed=0)
    return lambda: model.stream_pool(500).grow(5000)

def packing():
    return lambda: lstmfast.LSTM(100, 200, seed=0)

def new_weights():
    model = lstmfast.LSTM(100, 200, seed=0)
    weights = model.state_dict()
    return lambda: model.update(weights)

def quantizing():
    model = lstmfast.LSTM(100, 200, seed=0)
    return lambda: model.quantize("int8")

def pickling():
    stream = lstmfast.LSTM(40, 128, seed=0).stream(3)
    return lambda: pickle.loads(pickle.dumps(stream))

def writing():  # all of a save that is ours
    from lstmfast._files.writing import write
    path = os.path.join(sys.argv[2], f"{os.getpid()}-{threading.get_ident()}")
    return lambda: write(path, b"weights" * 10_000)
"""

WORK_NAMES = tuple(re.findall(r"^def (\w+)\(\):$", WORKS, re.M))

# How a child ends, by a statement, and the status that it ends with.
ENDS = {
    "pass": 0,
    "sys.exit(3)": 3,
    "os._exit(4)": 4,
    "os.kill(os.getpid(), signal.SIGTERM); wait()": -signal.SIGTERM,
    "signal.signal(signal.SIGALRM, lambda *_: sys.exit(5)); signal.setitimer(0, 0.01); wait()": 5,
    "atexit.register(inferring()); atexit.register(stream_steps())": 0,
    "faulthandler.enable(); atexit.register(time.sleep, 0.01)": 0,
}

# Three threads, of a work each, of which each child meets others, and each a little later.
BUSY = f"""
NAMES = {WORK_NAMES!r}
MEANWHILE = []  # what the child has left to be dropped at the very end

def busy(n):
    counts = [0] * 3
    def repeat(k, job):
        while True:
            MEANWHILE[k] = job()
            counts[k] += 1
    for k in range(3):
        MEANWHILE.append(None)
        job = globals()[NAMES[(n + k * (1 + n // len(NAMES))) % len(NAMES)]]()
        threading.Thread(target=repeat, args=(k, job), daemon=True).start()
    while not all(counts):
        time.sleep(1e-4)
    time.sleep(n % 32 * 1e-4)

def wait():  # in pieces: a signal may come to another thread, and Python heeds it when the main one next runs
    while True:
        time.sleep(0.01)

def ends(statement, count, first=0):
    code = compile(statement, "the end", "exec")
    def scenario(n):
        busy(first + n)
        exec(code, globals())
    return children(scenario, count)
"""
