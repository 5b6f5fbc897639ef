"""Time of a prediction of one row and of many."""

import pytest
import workloads


@pytest.mark.parametrize("rows", [1, 10_000])
def test_predict_tabular(measure, rows):
    network, (X, _) = workloads.tabular_data()
    X = X[:rows].copy()
    measure(lambda: network.predict(X), network, rows=rows, training=False)


def test_predict_images(measure):
    network, (X, _) = workloads.image_data()
    measure(lambda: network.predict(X), network, rows=len(X), training=False)
