"""Whether the scikit-learn that is installed is one that backprop.estimators supports; CI has an older one too."""

import pytest
import sklearn

TOO_OLD = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7)
REASON = "backprop.estimators needs scikit-learn 1.7 or later, the minimum of the extra"
needed = pytest.mark.skipif(TOO_OLD, reason=REASON)
