"""Evidence that the fit of the localizer's constants keeps."""

import json
import math
import types
from pathlib import Path

import numpy as np
import pytest

from progeo_core.map.place_features import descriptor_bytes

TRAINING = Path(__file__).resolve().parents[2] / "training"


@pytest.fixture
def modules(monkeypatch):
    """Return the modules of evidence and of scenes."""
    monkeypatch.syspath_prepend(str(TRAINING))
    import localization_evidence
    import localization_scenes

    return localization_evidence, localization_scenes


def test_what_two_images_share_is_kept_beside_older_counts(modules, tmp_path):
    evidence, scenes = modules
    encoder = types.SimpleNamespace(fingerprint="none")
    first, second = (scenes.Shot(Path(f"site/drive/{name}.jpg")) for name in "ab")
    (tmp_path / "features").mkdir()
    points = np.random.default_rng(0).uniform(40.0, 280.0, (50, 2))
    for shot, scale in ((first, 1.25), (second, 1.0)):
        np.savez(
            tmp_path / "features" / f"{evidence.name_of(shot)}.npz",
            points=((points - 160.0) * scale + 160.0).astype(np.float32),
            descriptors=descriptor_bytes(np.eye(50, 64, dtype=np.float32)),
            size=(320, 320),
        )
    (tmp_path / "inliers.json").write_text(json.dumps({"older pair": 7}))
    found = evidence.Evidence(tmp_path, encoder)
    assert found.log_magnification(first, second) == pytest.approx(math.log(1.25), abs=1e-3)
    found.keep()
    kept = json.loads((tmp_path / "inliers.json").read_text())
    assert kept.pop("older pair") == 7
    assert list(kept.values()) == [50]
    # What is kept needs no images.
    for path in (tmp_path / "features").iterdir():
        path.unlink()
    again = evidence.Evidence(tmp_path, encoder)
    assert again.inliers(first, second) == 50
    assert again.log_magnification(first, second) == found.log_magnification(first, second)
