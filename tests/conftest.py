"""What every test gets."""

import matplotlib
import pytest


@pytest.fixture(autouse=True)
def _own_drawing_settings():
    """Chapters change matplotlib's defaults; the next test must not see it."""
    with matplotlib.rc_context():
        yield
