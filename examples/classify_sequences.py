"""Classify sequences of different lengths, as scikit-learn does it: handwritten digits, row by row.

pip install 'lstmfast[sklearn]'
python examples/classify_sequences.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmfast.sklearn import SequenceClassifier

digits = load_digits()  # 1797 pictures of 8 by 8: sequences of 8 steps, 8 numbers each
x, new, y, truth = train_test_split(digits.images, digits.target, test_size=0.3, random_state=0)

# To say something before all of a picture has been seen, learn from beginnings of 4 to 7 rows, too.
rows = np.random.default_rng(0).integers(4, 8, len(x))
X = [*x, *(picture[:seen] for picture, seen in zip(x, rows, strict=True))]
classifier = SequenceClassifier("GRU", bidirectional=True, max_iter=20, random_state=0)
classifier.fit(X, np.concatenate([y, y]))

print(f"right of {len(new)} new pictures, by rows seen:")
for seen in (4, 5, 6, 7, 8):
    print(f"  {seen}: {classifier.score(new[:, :seen], truth):.1%}")

linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x.reshape(len(x), -1), y)
print(f"logistic regression of all pixels: {linear.score(new.reshape(len(new), -1), truth):.1%}")

confused = confusion_matrix(truth, classifier.predict(new[:, :4]))
np.fill_diagonal(confused, 0)
was, said = np.unravel_index(confused.argmax(), confused.shape)
print(f"after 4 rows a {was} is most often taken for a {said}")
