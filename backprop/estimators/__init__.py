"""`MLPClassifier` and `MLPRegressor` with scikit-learn's parameters, attributes and behaviour.

To move from scikit-learn, change one import::

    from backprop.estimators import MLPClassifier, MLPRegressor  # instead of sklearn.neural_network

The fits take a fraction of the time and give the same bits everywhere. They need scikit-learn 1.7 or later, the extra
"sklearn"; importing `backprop` itself never imports it.
"""

try:
    import sklearn
except ImportError:
    sklearn = None

if sklearn is None or tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7):
    raise ImportError("backprop.estimators needs scikit-learn 1.7 or later: pip install 'exact-backprop[sklearn]'")

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
