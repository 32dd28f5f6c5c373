"""Options that several commands share; defaults and ranges are those of the settings."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from progeo_core.errors import DataError, UsageError
from progeo_core.localization.localizer_settings import LocalizerSettings
from progeo_core.model.built_in import DEFAULT_MODEL
from progeo_core.settings import Range, Settings, setting

if TYPE_CHECKING:
    from progeo_core.descriptors.encoder import Encoder
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.inference.feature_extractor import FeatureExtractor
    from progeo_core.map.place_map import PlaceMap


@dataclasses.dataclass(frozen=True)
class ModelSettings(Settings):
    """Model that turns images into descriptors, and where it runs."""

    model: str = setting(
        DEFAULT_MODEL,
        "Model that makes the descriptors: a built-in name, a model folder (see `progeo model"
        " import`), an open_clip backbone and its weights, BACKBONE:PRETRAINED, hf:FOLDER, a preset"
        " such as megaloc, onnx:FILE, py:MODULE:FACTORY or hub:REPOSITORY:ENTRY (docs/models.md)",
    )
    trust_code: bool = setting(
        False,
        "Run the code of the model's authors with your rights, which presets, py: and hub: need",
    )
    device: str = setting("auto", "Where the model runs: auto, cpu, cuda or cuda:N")
    runtime: str = setting(
        "auto",
        "What runs the model: auto (the faster of torch and onnx that agrees with torch, measured"
        " once), torch, onnx or tensorrt",
    )


@dataclasses.dataclass(frozen=True)
class ProtocolSettings(Settings):
    """Definition of a right answer."""

    radius_m: float = setting(
        25.0,
        "An answer is right within this horizontal distance (m) of the truth; 25 m is the usual"
        " benchmark, indoors use 1 to 5",
        low=0.001,
        high=1e6,
    )


def setting_option(
    settings: type[Settings], name: str, flag: str, metavar: str = "", default: str = ""
) -> Any:
    """Return the option for one field of a settings class: its meaning and its range.

    default: what --help says of it, where it is not a value.
    """
    field = next(one for one in dataclasses.fields(settings) if one.name == name)
    bounds: Range = field.metadata["range"]
    return typer.Option(
        flag,
        metavar=metavar or None,
        help=f"{field.metadata['description']}.",
        min=None if math.isinf(bounds.low) else bounds.low,
        max=None if math.isinf(bounds.high) else bounds.high,
        show_default=default or True,
    )


ModelOption = Annotated[str, setting_option(ModelSettings, "model", "--model", "MODEL")]
MapModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Model that made the map, where the map's own name for it is not enough: a folder that"
        " is elsewhere. Default: the map's.",
        show_default=False,
    ),
]
DeviceOption = Annotated[str, setting_option(ModelSettings, "device", "--device", "DEVICE")]
RuntimeOption = Annotated[str, setting_option(ModelSettings, "runtime", "--runtime", "RUNTIME")]
TrustFlag = Annotated[bool, setting_option(ModelSettings, "trust_code", "--trust-code")]
RadiusOption = Annotated[float, setting_option(ProtocolSettings, "radius_m", "--radius", "M")]
MapRadiusOption = Annotated[
    float | None,
    typer.Option(
        "--radius",
        metavar="M",
        help="An answer is right within this horizontal distance (m) of the truth. Default: what"
        " confidences are about, 2.5 m, or one and a half spacings of the map where these are more;"
        " 25 m is the usual benchmark of cities.",
        min=0.001,
        max=1e6,
        show_default=False,
    ),
]
VerificationOption = Annotated[
    int, setting_option(LocalizerSettings, "verification_ms", "--verification-ms", "MS")
]
PoseGapOption = Annotated[
    float,
    typer.Option(
        "--max-pose-gap",
        metavar="S",
        help="An image of a bag needs a pose within this time (s) on either side, between which"
        " its own is interpolated; raise it where poses come seldom.",
        min=0.0,
    ),
]
CameraInfoOption = Annotated[
    Path | None,
    typer.Option(
        "--camera-info",
        metavar="YAML",
        help="Calibration of the camera that took the images, a file of ROS's camera_calibration;"
        " takes the place of the camera_info that a bag has beside its image topic.",
    ),
]
MapOption = Annotated[Path, typer.Option("--map", metavar="MAP", help="Map file, NAME.progeo.")]
MapArgument = Annotated[
    Path, typer.Argument(metavar="MAP", help="Map file, NAME.progeo.", show_default=False)
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout instead of a table (schema above).")
]

ForceFlag = Annotated[
    bool, typer.Option("--force", help="Replace what an earlier run has written there.")
]

MODEL = ModelSettings()
PROTOCOL = ProtocolSettings()
LOCALIZER = LocalizerSettings()


def check_new(path: Path, force: bool) -> None:
    """Raise `UsageError` where a file would be replaced that nobody said may be."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists already: replace it with --force, or choose another name")


def check_place(path: Path | None) -> None:
    """Raise `DataError` where a file cannot be written as its folder is missing, before any work.

    path: None and "-" (stdout) need no folder.
    """
    if path is not None and str(path) != "-" and not path.parent.is_dir():
        raise DataError(f"{path}: cannot be written (there is no folder {path.parent})")


def check_folder(folder: Path, file: str, force: bool) -> None:
    """Raise `UsageError` where an earlier run wrote its file into a folder, or it is none."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: this is a file; name a folder")
    check_new(folder / file, force)


class ModelChoice(NamedTuple):
    """What answers with a map: its model (None for the map's own), device and runtime."""

    model: str | None
    device: str
    runtime: str
    trust_code: bool

    def extractor(self) -> FeatureExtractor:
        """Return what finds local features beside the encoder."""
        from progeo_core.inference.feature_extractor import shared_extractor

        return shared_extractor(self.device, self.runtime)

    def name(self, place_map: PlaceMap) -> str:
        """Return the model that was chosen, else that of the map."""
        from progeo_core.inference.map_model import model_of_map

        return self.model or model_of_map(place_map)

    def load(self, place_map: PlaceMap) -> Encoder:
        """Load the encoder; `ModelMismatchError` where another model made the map."""
        from progeo_core.inference.loading import load_encoder

        encoder = load_encoder(
            self.name(place_map), self.device, self.runtime, trust_code=self.trust_code
        )
        place_map.require_model(encoder.fingerprint)
        return encoder


def read_intrinsics(camera_info: Path | None) -> Intrinsics | None:
    """Return the calibration that --camera-info names, None without it."""
    if camera_info is None:
        return None
    from progeo_core.images.calibration_file import read_calibration

    return read_calibration(camera_info)
