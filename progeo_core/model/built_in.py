"""The models that ship: which there are, where they lie, and which one is the default.

Commands, parameters and programs read the default from here; nothing heavy is imported for it.
"""

from __future__ import annotations

from pathlib import Path

DEFAULT_MODEL = "mobilenetv2-gem"
_FOLDER = Path(__file__).parent.parent / "models"


def built_in_models() -> tuple[str, ...]:
    """List the names of the models that ship."""
    return tuple(sorted(path.name for path in _FOLDER.iterdir() if path.is_dir()))


def built_in_folder(name: str) -> Path | None:
    """Return the folder of a model that ships, or None for any other name."""
    return _FOLDER / name if name in built_in_models() else None
