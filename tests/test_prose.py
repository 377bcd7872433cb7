"""Numbers reach the text as numbers that a format can round."""

from unittest import mock

import myst_nb
import numpy as np
import pytest

from inthelimit.teaching.prose import keep


def test_a_numpy_number_is_glued_as_python_prints_it():
    with mock.patch.object(myst_nb, "glue") as glue:
        keep("gap", np.float64(0.25))
        keep("count", np.int64(3))
    assert [repr(call.args) for call in glue.call_args_list] == ["('gap', 0.25)", "('count', 3.0)"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_no_number_for_a_sentence(bad):
    with pytest.raises(ValueError, match="gap must be finite to stand in a sentence"):
        keep("gap", bad)
