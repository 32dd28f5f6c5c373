"""Visual place recognition and localization with ProGEO descriptors, free of ROS.

The names below are what most programs need. Each is imported on first use, so that
`import progeo_core` takes milliseconds and loads neither torch nor FAISS.
"""

import importlib as _importlib
import os as _os

# That of typing takes ten milliseconds, in which a signal would end in a traceback.
_TYPE_CHECKING = False
if _TYPE_CHECKING:
    from progeo_core.evaluation.queries import evaluate_records as evaluate
    from progeo_core.images.codec import read_image
    from progeo_core.inference.loading import load_encoder
    from progeo_core.localization.answer import CameraFrame
    from progeo_core.localization.localizer import Localizer
    from progeo_core.map.build import build_map
    from progeo_core.map.place_index import PlaceIndex
    from progeo_core.map.place_map import PlaceMap

__all__ = [
    "CameraFrame",
    "Localizer",
    "PlaceIndex",
    "PlaceMap",
    "build_map",
    "evaluate",
    "load_encoder",
    "read_image",
]

# Where each name comes from: the module, and what it is called there.
_SOURCES = {
    "CameraFrame": ("progeo_core.localization.answer", "CameraFrame"),
    "Localizer": ("progeo_core.localization.localizer", "Localizer"),
    "PlaceIndex": ("progeo_core.map.place_index", "PlaceIndex"),
    "PlaceMap": ("progeo_core.map.place_map", "PlaceMap"),
    "build_map": ("progeo_core.map.build", "build_map"),
    "evaluate": ("progeo_core.evaluation.queries", "evaluate_records"),
    "load_encoder": ("progeo_core.inference.loading", "load_encoder"),
    "read_image": ("progeo_core.images.codec", "read_image"),
}

# The threads of torch, FAISS and NumPy would spin while they wait for each other. On a machine that
# other programs share, such as a robot's computer, that makes an image take three times as long,
# and small products of matrices twenty times. OpenMP and OpenBLAS read this when they are imported,
# which is after this package is; OpenBLAS then waits 2^4 cycles instead of 2^26.
_os.environ.setdefault("OMP_WAIT_POLICY", "passive")
_os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
# ONNX Runtime 1.32 gathers reports for its maker, and keeps a number of this machine in ~/.cache,
# unless this is said before it is imported.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A type checker would take this function for a promise that any name at all exists.
if not _TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import one of the names above on first use (PEP 562)."""
        if name not in _SOURCES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _SOURCES[name]
        value = getattr(_importlib.import_module(module), attribute)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted(__all__)
