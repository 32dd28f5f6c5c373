"""`import progeo_core` offers the names that a program needs, and loads nothing heavy for them."""

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import progeo_core

HEAVY = {"cv2", "faiss", "matplotlib", "numpy", "open_clip", "rclpy", "torch", "torchvision"}
OFFERED = {
    *("Localizer", "PlaceMap", "PlaceIndex", "CameraFrame"),
    *("load_encoder", "read_image", "build_map", "evaluate"),
}


# How the threads of libraries wait for each other.
THREADS = {"OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "4"}


def printed(code: str, **environment: str) -> list[str]:
    """Return the words that a program prints in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=kept | environment,
    )
    return done.stdout.split()


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, progeo_core; print(*sorted({HEAVY!r} & set(sys.modules)))"
    assert printed(code) == []


def test_importing_loads_no_other_module_of_the_project() -> None:
    code = "import sys, progeo_core; print(*(m for m in sys.modules if m.startswith('progeo')))"
    assert printed(code) == ["progeo_core"]


def test_threads_wait_without_spinning_unless_the_user_says_otherwise() -> None:
    code = f"import os, progeo_core; print(*(os.environ[name] for name in {[*THREADS]}))"
    assert printed(code) == [*THREADS.values()]
    assert printed(code, OMP_WAIT_POLICY="active") == ["active", "4"]
    assert printed(code, OPENBLAS_THREAD_TIMEOUT="20") == ["passive", "20"]


def test_these_names_are_offered_and_no_others() -> None:
    assert set(progeo_core.__all__) == OFFERED
    assert set(dir(progeo_core)) == OFFERED
    # Submodules are attributes once something has imported them.
    modules = {name.split(".")[1] for name in sys.modules if name.startswith("progeo_core.")}
    assert {name for name in vars(progeo_core) if not name.startswith("_")} <= OFFERED | modules


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_every_name_is_loaded_on_first_use(name: str) -> None:
    found = getattr(progeo_core, name)
    assert callable(found)
    assert inspect.getdoc(found)
    assert getattr(progeo_core, name) is found


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(progeo_core.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    seen = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == progeo_core._SOURCES


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Localiser'"):
        _ = progeo_core.Localiser
    with pytest.raises(ImportError):
        exec("from progeo_core import Localiser")


def test_a_star_import_gives_all_of_them() -> None:
    names: dict[str, object] = {}
    exec("from progeo_core import *", names)
    assert set(names) >= OFFERED


def test_a_wrong_path_is_said_before_anything_heavy_is_loaded() -> None:
    heavy = HEAVY - {"numpy"} | {"PIL", "rosbags", "pyproj"}
    code = (
        "import sys; from progeo_core.cli import main;"
        "code = main(['localize', 'missing.progeo', 'a.jpg']);"
        f"print(code, *sorted({heavy!r} & set(sys.modules)))"
    )
    assert printed(code) == ["1"]
