# Known by: users
"""Estimators of scikit-learn's kind over lstmfast's own training: classes or numbers of sequences, forecasts.

>>> import numpy as np
>>> from lstmfast.sklearn import SequenceClassifier
>>> rng = np.random.default_rng(0)
>>> X = [rng.standard_normal((steps, 2)) for steps in rng.integers(5, 20, 60)]  # of different lengths
>>> y = np.array(["up" if x.sum() > 0 else "down" for x in X])
>>> classifier = SequenceClassifier(hidden_size=8, max_iter=5, random_state=0).fit(X, y)
>>> classifier.predict(X[:3]).shape, classifier.predict_proba(X[:3]).shape
((3,), (3, 2))

Needs scikit-learn, which lstmfast itself does not: `pip install 'lstmfast[sklearn]'`.
"""

try:
    import sklearn as _sklearn
except ImportError as error:
    raise ImportError("lstmfast.sklearn needs scikit-learn: pip install 'lstmfast[sklearn]'") from error
if tuple(map(int, _sklearn.__version__.split(".")[:2])) < (1, 6):
    raise ImportError(
        f"lstmfast.sklearn needs scikit-learn 1.6 or later, not {_sklearn.__version__}:"
        " pip install 'lstmfast[sklearn]'"
    )

from ._classifier import SequenceClassifier
from ._forecaster import SequenceForecaster
from ._regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceForecaster", "SequenceRegressor"]
