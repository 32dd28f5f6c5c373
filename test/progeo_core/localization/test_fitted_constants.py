from progeo_core.localization.fitted_constants import (
    SequenceConstants,
    SingleImageConstants,
    VerificationConstants,
)
from progeo_core.localization.place_filter import PlaceFilter


def test_every_constant_is_documented() -> None:
    for constants in (SingleImageConstants, VerificationConstants, SequenceConstants):
        assert constants.__doc__
        for name in constants._fields:
            assert f"{name}:" in constants.__doc__, name


def test_filter_uses_the_constants_that_it_is_given() -> None:
    import numpy as np

    line = np.arange(10)[:, None] * [1.0, 0.0, 0.0]
    log_odds = np.where(np.arange(10) == 3, 6.0, -3.0)
    cautious = PlaceFilter(line, 1.0, constants=SequenceConstants(evidence_limit=1.0))
    beliefs = [
        one.update(np.arange(10), log_odds, log_odds) for one in (PlaceFilter(line, 1.0), cautious)
    ]
    assert beliefs[0].probability[0] > beliefs[1].probability[0]
    assert beliefs[0].rows[0] == beliefs[1].rows[0] == 3
