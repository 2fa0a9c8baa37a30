# Known by: _cli, sklearn
"""`lstmfast forecast`: forecasts of a series in a file, with intervals, beside honest baselines.

>>> import numpy as np
>>> from lstmfast._forecast import Forecaster
>>> hours = np.arange(600.0)
>>> load = 10 + np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(0, 0.1, 600)
>>> forecaster = Forecaster(horizon=24).fit(load)
>>> forecaster.evaluation.comparison.verdict  # beside the best of the baselines, on rows not seen before
'no better'
>>> ahead = forecaster.predict(load)
>>> ahead.mean.shape, ahead.lower.shape  # of the 80 and of the 95 % interval
((24, 1), (2, 24, 1))

docs/forecast.md says how it is made, and why one may believe it.
"""

from .command import Options, run
from .errors import SeriesError
from .forecaster import Forecaster, Prediction

__all__ = ["Forecaster", "Options", "Prediction", "SeriesError", "run"]
