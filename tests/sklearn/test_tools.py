"""What scikit-learn's own tools do with estimators, in every form that X and y may have."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmfast.sklearn import SequenceClassifier, SequenceForecaster, SequenceRegressor

from ..helpers import assert_same_bits
from .helpers import QUICK, ragged

FAST = QUICK | {"hidden_size": 4, "max_iter": 2}


def forms(count: int = 30) -> dict[str, Any]:
    """The same sequences of one length in every form, and some of different lengths."""
    rng = np.random.default_rng(0)
    array = rng.standard_normal((count, 5, 2))
    objects = np.empty(count, object)
    objects[:] = ragged(count)[0]
    return {
        "array": array,
        "list": list(array),
        "lists": array.tolist(),
        "table": array[..., 0],
        "different lengths": ragged(count)[0],
        "objects": objects,
    }


@pytest.mark.parametrize("form", forms())
def test_searches(form: str) -> None:
    X, (_, y) = forms()[form], ragged(30)
    numbers = np.arange(30.0)
    for estimator, target in ((SequenceClassifier(**FAST), y), (SequenceRegressor(**FAST), numbers)):
        search = GridSearchCV(estimator, {"hidden_size": [2, 4]}, cv=2, error_score="raise")
        search.fit(X, target)
        again = clone(estimator).set_params(**search.best_params_).fit(X, target)
        np.testing.assert_array_equal(search.predict(X), again.predict(X))
    proba = cross_val_predict(SequenceClassifier(**FAST), X, y, cv=3, method="predict_proba")
    assert proba.shape == (30, 2)


def test_forms_of_one_array_are_one() -> None:
    X, (_, y) = forms(), ragged(30)
    of_array = SequenceClassifier(**FAST).fit(X["array"], y)
    for form in ("list", "lists"):
        assert_same_bits(of_array.predict_proba(X[form]), of_array.predict_proba(X["array"]))
        of_form = SequenceClassifier(**FAST).fit(X[form], y)
        assert_same_bits(of_form.predict_proba(X["array"]), of_array.predict_proba(X["array"]))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array(["b", "a"]), ["a", "b"]),
        (np.array(["b", "a"], object), ["a", "b"]),
        (np.array([True, False]), [False, True]),
        (np.array([7, -1]), [-1, 7]),
        (np.array([2.0, 1.0]), [1.0, 2.0]),
    ],
)
def test_labels_of_any_kind(labels: Any, classes: list[Any]) -> None:
    X, _ = ragged(30)
    y = labels[np.arange(30) % 2]
    classifier = SequenceClassifier(**FAST).fit(X, y)
    assert classifier.classes_.tolist() == classes
    said = classifier.predict(X)
    assert said.dtype == y.dtype
    assert set(said.tolist()) <= set(classes)
    assert classifier.score(X, y) == np.mean(said == y)
    assert_same_bits(
        SequenceClassifier(**FAST).fit(X, y.tolist()).predict_proba(X), classifier.predict_proba(X)
    )


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    table, (_, y) = forms()["table"], ragged(30)
    frame = pandas.DataFrame(table, columns=list("abcde"))
    classifier = SequenceClassifier(**FAST).fit(frame, pandas.Series(y, dtype="category"))
    assert classifier.feature_names_in_.tolist() == list("abcde")
    assert_same_bits(
        classifier.predict_proba(frame), SequenceClassifier(**FAST).fit(table, y).predict_proba(table)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame.rename(columns={"a": "z"}))
    series = np.random.default_rng(0).standard_normal(120).cumsum()
    of_frame = SequenceForecaster(horizon=3, **FAST).fit(pandas.DataFrame({"load": series}))
    assert of_frame.forecast().shape == (3, 1)
    of_series = SequenceForecaster(horizon=3, **FAST).fit(pandas.Series(series))
    assert_same_bits(of_series.forecast(), of_frame.forecast()[:, 0])
    with pytest.raises(ValueError, match="feature names should match"):
        of_frame.forecast(X=pandas.DataFrame({"other": series}))


def test_pipelines_and_ensembles() -> None:
    table, (_, y) = forms()["table"], ragged(30)
    assert make_pipeline(StandardScaler(), SequenceClassifier(**FAST)).fit(table, y).predict(table).shape == (
        30,
    )
    bagged = BaggingClassifier(SequenceClassifier(**FAST), n_estimators=2, random_state=0).fit(table, y)
    assert bagged.predict_proba(table).shape == (30, 2)
    pair = [("a", SequenceClassifier(**FAST)), ("b", SequenceClassifier(cell="GRU", **FAST))]
    assert VotingClassifier(pair, voting="soft").fit(table, y).predict(table).shape == (30,)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_copies(kind: type[Any]) -> None:
    X, y = ragged(30)
    target = y if kind is SequenceClassifier else np.arange(30.0)
    fitted = kind(**FAST).fit(X, target)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), clone(fitted).fit(X, target)):
        assert again.get_params() == fitted.get_params()
        assert_same_bits(again._outputs(X), fitted._outputs(X))
    assert not hasattr(clone(fitted), "layer_")
