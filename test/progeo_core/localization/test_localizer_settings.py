import pytest

from progeo_core.errors import UsageError
from progeo_core.localization.localizer_settings import LocalizerSettings


@pytest.mark.parametrize(
    ("name", "value"), [("top_k", 0), ("min_confidence", 1.1), ("verification_ms", -1)]
)
def test_value_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(UsageError, match=name):
        LocalizerSettings(**{name: value})
