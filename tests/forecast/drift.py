"""What measured coverage says of the next rows where a series drifts: `python -m tests.forecast.drift`.

Of each kind, ten series of 2000 rows are learned from; the 300 rows after them, which nobody has seen, say
how often intervals hold in truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lstmfast._fitting import Settings
from lstmfast._forecast import Forecaster

ROWS, AFTER, HORIZON = 2000, 300, 8
TEST = 1700  # the first row of the last part
KINDS = (
    "as before",
    "a trend throughout",
    "the spread grows twofold throughout",
    "the spread doubles with the last part",
    "the spread halves with the last part",
    "a trend begins with the last part",
    "the level jumps amid the last part",
    "the spread doubles after the last row",
)


def series(kind: str, seed: int) -> NDArray[np.float64]:
    """Make one, [ROWS + AFTER]: an autoregression of 0.8, and what is said."""
    time = np.arange(ROWS + AFTER)
    noise = np.random.default_rng(seed).standard_normal(len(time))
    if kind == "the spread grows twofold throughout":
        noise *= 2 ** (time / ROWS)
    elif kind == "the spread doubles with the last part":
        noise[TEST:] *= 2
    elif kind == "the spread halves with the last part":
        noise[TEST:] /= 2
    elif kind == "the spread doubles after the last row":
        noise[ROWS:] *= 2
    made = np.zeros(len(time))
    for k in range(1, len(time)):
        made[k] = 0.8 * made[k - 1] + noise[k]
    if kind == "a trend throughout":
        made += 0.02 * time
    elif kind == "a trend begins with the last part":
        made += 0.05 * np.maximum(time - TEST, 0)
    elif kind == "the level jumps amid the last part":
        made[(TEST + ROWS) // 2 :] += 8
    return made


def coverage(kind: str, seed: int) -> tuple[Forecaster, NDArray[np.float64]]:
    """Learn from one series; return the forecaster, and how often its intervals hold after it, by level."""
    values = series(kind, seed)
    forecaster = Forecaster(HORIZON, period=0, settings=Settings(epochs=2, batch_size=8)).fit(values[:ROWS])
    held = []
    for origin in range(ROWS, ROWS + AFTER - HORIZON, 4):
        ahead = forecaster.predict(values[:origin])
        truth = values[origin : origin + HORIZON, np.newaxis]
        held.append(((ahead.lower <= truth) & (truth <= ahead.upper)).mean(axis=(1, 2)))
    return forecaster, np.mean(held, axis=0)


def main() -> None:
    """Print what was measured and what came, of the 80 and the 95 % interval, and how often it was told."""
    print(f"{'':40}measured  told   next rows")
    for kind in KINDS:
        measured, came, told = [], [], 0
        for seed in range(10):
            forecaster, held = coverage(kind, seed)
            found = forecaster.evaluation
            assert found
            measured.append(found.coverage.mean(axis=1))
            came.append(held)
            told += found.too_narrow
        said, true = (" ".join(f"{100 * v:.0f} %" for v in np.mean(c, axis=0)) for c in (measured, came))
        print(f"{kind:40}{said}  {told:2} of 10  {true}")


if __name__ == "__main__":
    main()
