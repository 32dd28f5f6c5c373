"""What is tried again, and what a user is told of the rest."""

import pytest

from progeo_core.errors import DataError, UsageError
from progeo_core.fleet import lance_errors
from progeo_core.fleet.lance_errors import explained, retried
from progeo_core.map.sqlite_file import DamageError


def test_commits_that_met_others_are_tried_again_and_nothing_else(monkeypatch):
    monkeypatch.setattr(lance_errors, "_FIRST_WAIT_S", 0.0)
    outcomes = iter([OSError("Retryable commit conflict for version 7"), 3])

    def commit():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert retried(commit) == 3
    outcomes = iter([OSError("No space left on device"), 4])
    with pytest.raises(OSError, match="No space"):
        retried(commit)
    monkeypatch.setattr(lance_errors, "_RETRY_S", -1.0)
    outcomes = iter([RuntimeError("Too many concurrent writers"), 5])
    with pytest.raises(RuntimeError, match="concurrent"):
        retried(commit)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("LanceError(IO): No space left on device (os error 28)"), "the disk is full"),
        (RuntimeError("Generic S3 error: 403 Forbidden"), "access is denied"),
        (RuntimeError("<Code>NoSuchBucket</Code>"), "there is no such bucket"),
        (RuntimeError("error sending request: timed out"), "cannot be reached"),
        (DamageError("place 7 does not match"), "damaged; restore .*place 7"),
        (OSError("Not found: places.lance/data/9403a.lance"), r"is missing: bring .*403a\.lance"),
        (ValueError("Table 'sessions' was not found"), "is missing: .*'sessions'"),
        (
            OSError("failed to fill whole buffer, /rustc/2d/ops.rs:2:5"),
            r"cut short.*buffer\)$",
        ),
        (OSError("Not found: a.lance, /root/lance/src/io.rs:7:9"), r"still there.*a\.lance\)$"),
    ],
)
def test_errors_name_the_store_and_what_to_do(error, told):
    with (
        pytest.raises(DataError, match=rf"^s3://fleet/places: .*{told}"),
        explained("s3://fleet/places"),
    ):
        raise error


def test_errors_of_our_own_stay_as_they_are():
    with pytest.raises(UsageError, match=r"^wrong$"), explained("fleet"):
        raise UsageError("wrong")
