"""Run for long and watch memory: python -m tests.soak WHAT STEPS.

WHAT is `streams`, `training` or `torch`. Prints what the process has of memory on the way; ends with status 1
where it grows. On one thread, so that malloc has one arena and the counters see all.
"""

from __future__ import annotations

import argparse
import gc
import sys
from typing import Any

import lstmfast

from . import watch
from .streams import Streams
from .training import Training
from .watch import Sample, Visit

# Steps of a visit: as many as keep what it costs besides small, and few enough that a sample has many visits.
STREAM_STEPS, TRAINING_STEPS = 20_000, 20


def visits_of(what: str, seed: int, steps: int) -> Visit:
    """Make the visits of one kind, of which so many steps have five at least."""
    share = max(1, steps // 5)
    if what == "streams":
        return Streams(seed, max(8, min(STREAM_STEPS, share)))
    if what == "training":
        return Training(seed, min(TRAINING_STEPS, share))
    from .in_torch import InTorch  # here, for PyTorch need not be there

    return InTorch(seed, min(TRAINING_STEPS, share))


def line(sample: Sample) -> str:
    """One row of what is printed, in MiB where it is bytes."""
    resident, heap, kept, objects, tracked = sample.memory
    sizes = "".join(f"{bytes / 2**20:10.2f}" for bytes in (resident, heap, kept))
    return f"{sample.steps:12d}{sample.seconds / 60:8.2f}{sizes}{objects:10d}{tracked:10d}"


def main(arguments: list[str]) -> Any:
    """Read the command line, soak, and judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("what", choices=("streams", "training", "torch"))
    parser.add_argument("steps", type=lambda text: int(float(text)))
    parser.add_argument("--samples", type=int, default=watch.SAMPLES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    lstmfast.set_num_threads(1)
    gc.freeze()  # what is there already is not walked through at each sample
    print(
        f"{'steps':>12}{'minutes':>8}{'resident':>10}{'heap':>10}{'kept':>10}{'objects':>10}{'tracked':>10}"
    )
    visit = visits_of(given.what, given.seed, given.steps // given.samples)
    samples = watch.soak(visit, given.steps, lambda sample: print(line(sample), flush=True), given.samples)
    print("growth after the warm-up:", watch.growth(samples)._asdict())
    return "\n".join(watch.complaints(samples))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or None)
