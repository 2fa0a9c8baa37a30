"""Classes of sequences: on real data beside a linear model, and with scikit-learn's tools."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import lstmfast
from lstmfast.sklearn import SequenceClassifier

from ..helpers import Array, assert_same_bits
from .helpers import QUICK, ragged


def test_digits_row_by_row() -> None:
    """Pictures of 8 rows are sequences of 8 steps: better than a linear model of all pixels."""
    digits = load_digits()
    x, new, y, truth = train_test_split(digits.images, digits.target, test_size=0.3, random_state=0)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    linear.fit(x.reshape(len(x), -1), y)
    ours = SequenceClassifier(bidirectional=True, max_iter=25, random_state=0).fit(x, y)
    assert ours.score(new, truth) > linear.score(new.reshape(len(new), -1), truth) > 0.95


def test_sequences_of_different_lengths() -> None:
    X, y = ragged(300)
    classifier = SequenceClassifier(cell="GRU", **QUICK).fit(X, y)
    assert classifier.classes_.tolist() == ["first", "second"]
    new, truth = ragged(100, seed=1)
    assert classifier.score(new, truth) > 0.85
    p = classifier.predict_proba(new)
    assert p.shape == (100, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(classifier.predict(new), classifier.classes_[p.argmax(axis=1)])
    np.testing.assert_array_equal(classifier.predict_log_proba(new), np.log(p))
    assert classifier.n_features_in_ == 2
    assert classifier.n_iter_ == len(classifier.history_.train_loss) <= 8
    # Arrays of objects and nested lists are the same sequences.
    objects = np.empty(100, object)
    objects[:] = new
    assert_same_bits(classifier.predict_proba(objects), p)
    assert_same_bits(classifier.predict_proba([row.tolist() for row in new]), p)


def test_the_same_bits(threads: None) -> None:
    X, y = ragged(60)
    found = []
    for number in (1, 2):
        lstmfast.set_num_threads(number)
        found.append(SequenceClassifier(num_layers=2, dropout=0.3, **QUICK).fit(X, y).predict_proba(X))
    assert_same_bits(found[1], found[0])
    other = SequenceClassifier(num_layers=2, dropout=0.3, **QUICK | {"random_state": 1}).fit(X, y)
    assert not np.array_equal(other.predict_proba(X), found[0])


def test_random_state_of_numpy() -> None:
    X, y = ragged(30)
    quick = QUICK | {"max_iter": 1}
    one, two = (
        SequenceClassifier(**quick | {"random_state": np.random.RandomState(5)}).fit(X, y).predict_proba(X)
        for _ in range(2)
    )
    assert_same_bits(one, two)
    free = SequenceClassifier(**quick | {"random_state": None})
    assert not np.array_equal(free.fit(X, y).predict_proba(X), clone(free).fit(X, y).predict_proba(X))


def test_pickles_and_clones() -> None:
    X, y = ragged(40)
    classifier = SequenceClassifier(**QUICK).fit(X, y)
    again = pickle.loads(pickle.dumps(classifier))
    assert_same_bits(again.predict_proba(X), classifier.predict_proba(X))
    assert clone(classifier).fit(X, y).history_ == classifier.history_
    assert clone(classifier).get_params() == classifier.get_params()


def double(X: list[Array]) -> list[Array]:
    return [2 * row for row in X]


def test_grid_search_in_a_pipeline() -> None:
    X, y = ragged(60)
    pipeline = make_pipeline(FunctionTransformer(double), SequenceClassifier(**QUICK | {"max_iter": 3}))
    grid = {"sequenceclassifier__cell": ["GRU", "RNN"], "sequenceclassifier__hidden_size": [4]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert set(search.best_params_) == set(grid)
    assert search.predict(X).shape == (60,)
    assert cross_val_score(search.best_estimator_, X, y, cv=2, error_score="raise").shape == (2,)


def test_classes_can_weigh_more() -> None:
    """What cannot be told apart is of the class that weighs more."""
    X = np.random.default_rng(0).standard_normal((90, 4, 1))
    y = np.repeat([0, 1], [60, 30])
    for weight, most in ((None, 0), ({0: 1, 1: 10}, 1)):
        for keyword in ("class_weight", "sample_weight"):
            classifier = SequenceClassifier(**QUICK | {"max_iter": 3, "learning_rate": 0.01})
            by_row = None
            if weight and keyword == "class_weight":
                classifier.set_params(class_weight=weight)
            elif weight:
                by_row = np.where(y == 1, 10, 1)
            classifier.fit(X, y, by_row)
            assert np.mean(classifier.predict(X) == most) > 0.9
    balanced = SequenceClassifier(class_weight="balanced", **QUICK | {"max_iter": 3, "learning_rate": 1e-9})
    assert abs(balanced.fit(X, y).predict_proba(X).mean() - 0.5) < 0.1


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_a_class_without_weight_is_not_learned(batch_size: int) -> None:
    """Also where a batch would have had none but its rows; it stays one that can be said."""
    X, y = ragged(40)
    y = np.where(np.arange(40) % 4 == 0, "third", y)
    weighted = SequenceClassifier(
        batch_size=batch_size, class_weight={"third": 0}, **QUICK | {"max_iter": 3}
    ).fit(X, y)
    assert weighted.classes_.tolist() == ["first", "second", "third"]
    assert np.isfinite(weighted.history_.train_loss).all()
    probable = SequenceClassifier(class_weight={"third": 0}, **QUICK | {"max_iter": 60}).fit(X, y)
    assert probable.predict_proba(X)[:, 2].max() < 0.2


def test_rows_without_weight_are_not_there() -> None:
    X, y = ragged(50)
    weight = np.ones(50)
    weight[::5] = 0
    X[5] = 1e6 * X[5]
    one = SequenceClassifier(**QUICK).fit(X, y, weight)
    kept = np.flatnonzero(weight)
    two = SequenceClassifier(**QUICK).fit([X[k] for k in kept], y[kept])
    assert_same_bits(one.predict_proba(X), two.predict_proba(X))


def test_standardizing_makes_units_no_matter() -> None:
    X, y = ragged(40)
    scaled = [row * 1024 for row in X]  # a power of two, so that it is so to the bit
    one, two = (SequenceClassifier(**QUICK).fit(x, y).predict_proba(x) for x in (X, scaled))
    assert_same_bits(one, two)
    plain = SequenceClassifier(standardize=False, **QUICK).fit(X, y)
    assert not np.array_equal(plain.predict_proba(X), one)


def test_one_of_a_class_is_trained_on() -> None:
    X, y = ragged(30)
    y = y.astype(object)
    y[3] = "third"
    classifier = SequenceClassifier(validation_fraction=0.5, **QUICK).fit(X, y)
    assert classifier.predict_proba(X).shape == (30, 3)


def test_without_early_stopping_all_epochs_are_done() -> None:
    X, y = ragged(30)
    history = SequenceClassifier(early_stopping=False, **QUICK).fit(X, y).history_
    assert (history.epochs, history.held_out_loss, history.best_epoch) == (8, [], 8)


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = ragged(30)
    SequenceClassifier(**QUICK | {"max_iter": 2}).fit(X, y)
    assert capsys.readouterr().out == ""
    history = SequenceClassifier(verbose=True, **QUICK | {"max_iter": 2}).fit(X, y).history_
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"epoch 2: loss {history.train_loss[1]:.6f}, held out {history.held_out_loss[1]:.6f}"


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As scikit-learn's own networks: a warning, and a model."""
    import lstmfast.sklearn._estimator as module

    def stop(epoch: int, *_: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "tell", stop)
    X, y = ragged(30)
    classifier = SequenceClassifier(verbose=True, **QUICK)
    with pytest.warns(UserWarning, match="fit: interrupted; the model has the best weights so far"):
        classifier.fit(X, y)
    assert classifier.n_iter_ == 2
    assert classifier.predict(X).shape == (30,)
