"""scikit-learn's side: estimators of sequences and series."""
