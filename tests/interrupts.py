"""What scripts that interrupt their own calls begin with: how long Ctrl-C took to be answered."""

from __future__ import annotations

# `threads`: how many the calls use.
INTERRUPTED = """
import signal, threading, time

# A shell may start its background jobs, this test among them, with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupted(call):
    "Seconds of CPU from Ctrl-C, soon after a call begins, to the answer: others may be at work here, too."
    sent = []
    def send():
        time.sleep(0.05)
        sent.append(time.process_time())
        signal.raise_signal(signal.SIGINT)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        call()
    except KeyboardInterrupt:
        return (time.process_time() - sent[0]) / threads
    finally:
        thread.join()
    raise SystemExit("it was never interrupted")

def seconds_of(call):
    "Seconds of CPU of the whole call, as above."
    begun = time.process_time()
    call()
    return (time.process_time() - begun) / threads

def was_not_made(call):
    "Whether Ctrl-C ends it in its midst, by time alone: one that does not listen takes nearly all it needs."
    whole = min(seconds_of(call) for _ in range(2))
    return min(interrupted(call) for _ in range(3)) < 0.7 * whole

def steps_of_a_second(step):
    "So many steps take about one, whatever else this machine has to do."
    step(20)  # once for whatever a first call has to do
    begun = time.process_time()
    step(20)
    return min(max(int(20 * threads / (time.process_time() - begun)), 100), 1000)
"""
