import dataclasses

from progeo_core.descriptors.fingerprint import ModelFingerprint

FINGERPRINT = ModelFingerprint("CLIP-RN50+GeM", 1024, "512x512 imagenet", "ab" * 32, name="mine")


def test_models_that_differ_only_in_name_are_equal() -> None:
    assert dataclasses.replace(FINGERPRINT, name="yours") == FINGERPRINT


def test_models_that_differ_in_anything_else_are_not() -> None:
    for change in (
        {"architecture": "CLIP-RN101+GeM"},
        {"dimension": 512},
        {"preprocessing": "224x224 imagenet"},
        {"weights_sha256": "cd" * 32},
        {"normalized": False},
    ):
        assert dataclasses.replace(FINGERPRINT, **change) != FINGERPRINT


def test_a_message_shows_name_and_what_tells_models_apart() -> None:
    assert str(FINGERPRINT) == "mine (CLIP-RN50+GeM, 1024-D, 512x512 imagenet, sha256 abababababab)"
