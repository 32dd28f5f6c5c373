from __future__ import annotations

import subprocess
import sys

from progeo_core.model.built_in import DEFAULT_MODEL, built_in_folder, built_in_models
from progeo_core.model.stored_model import is_model_folder


def test_every_model_that_ships_is_a_model_folder() -> None:
    assert DEFAULT_MODEL in built_in_models()
    for name in built_in_models():
        folder = built_in_folder(name)
        assert folder is not None
        assert is_model_folder(folder)


def test_other_names_have_no_folder() -> None:
    for name in ("", ".", "..", "../models/mobilenetv2-gem", "CLIP-RN50"):
        assert built_in_folder(name) is None


def test_the_default_is_known_without_anything_heavy() -> None:
    code = "import sys, progeo_core.model.built_in; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
