"""Where was this image taken? Image to descriptor, to similar places, to a pose with a verdict."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.consensus import ConsensusSettings, PoseEstimate, estimate_pose
from progeo_core.encoder import Encoder
from progeo_core.errors import DataError, ModelMismatchError
from progeo_core.geo import FloatArray, wgs84_from_enu
from progeo_core.images import Image
from progeo_core.place_index import Neighbours, PlaceIndex
from progeo_core.place_map import PlaceMap
from progeo_core.settings import Settings, setting

LOCALIZED = "LOCALIZED"
AMBIGUOUS = "AMBIGUOUS"


@dataclasses.dataclass(frozen=True)
class LocalizerSettings(Settings):
    """Say how many places are compared and when an answer may be used."""

    top_k: int = setting(20, "Matches reported with every answer, best first", low=1, high=1000)
    candidates: int = setting(
        100, "Similar places that the estimate is made from", low=1, high=10_000
    )
    min_confidence: float = setting(
        0.5, "Smallest confidence at which an answer is accepted and published", low=0.0, high=1.0
    )


class CameraFrame(NamedTuple):
    """Hold one image, when it was taken (ns, 0 unknown) and by which camera."""

    image: Image
    stamp_ns: int = 0
    camera: str = ""


class Match(NamedTuple):
    """Hold one place of the map that looks like the image."""

    place_id: int
    similarity: float
    position: FloatArray
    yaw_rad: float
    image: str


class StepSeconds(NamedTuple):
    """Hold how long each step of one answer took (s)."""

    encode: float = 0.0
    search: float = 0.0
    estimate: float = 0.0


class Localization(NamedTuple):
    """Hold the answer to one image; `accepted` says whether a robot may use it.

    geodetic: latitude, longitude (degrees), altitude (m) where the map has a datum.
    state, reason: one word and one readable line. matches: best first, at most `top_k`.
    descriptor: [D] float32.
    """

    stamp_ns: int
    camera: str
    estimate: PoseEstimate
    geodetic: tuple[float, float, float] | None
    accepted: bool
    state: str
    reason: str
    matches: tuple[Match, ...]
    descriptor: NDArray[np.float32]
    seconds: StepSeconds = StepSeconds()


class Localizer:
    """Answer images with poses in the frame of one map."""

    def __init__(
        self,
        place_map: PlaceMap,
        index: PlaceIndex,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
    ) -> None:
        """Raise `ModelMismatchError` unless the encoder made the map and gives unit lengths."""
        place_map.require_model(encoder.fingerprint)
        if not encoder.fingerprint.normalized:
            raise ModelMismatchError(
                f"model {encoder.fingerprint}: descriptors are not normalised, so similarities"
                " mean nothing to the localizer; use the model's normalised form"
            )
        self._map, self._index, self._encoder = place_map, index, encoder
        self.settings = settings or LocalizerSettings()
        self.consensus = consensus or ConsensusSettings()
        self.reload()

    @classmethod
    def open(
        cls,
        map_path: Path,
        encoder: Encoder,
        settings: LocalizerSettings | None = None,
        consensus: ConsensusSettings | None = None,
    ) -> Localizer:
        """Open a map file read-only, with its index; raises what opening a map raises."""
        place_map = PlaceMap.open(map_path)
        return cls(place_map, PlaceIndex.open(place_map), encoder, settings, consensus)

    def reload(self) -> None:
        """Read the map's places again, after others were added."""
        self._places = self._map.places()
        if not len(self._places.ids):
            raise DataError(f"{self._map.path}: the map holds no places; build it first")
        self._resolution_m = place_spacing(self._places.position)

    def localize(self, frame: CameraFrame) -> Localization:
        """Return where the image was taken, and how sure that is."""
        started = time.perf_counter()
        descriptor = self._encoder.encode([frame.image])[0]
        encode = time.perf_counter() - started
        answer = self.localize_descriptor(descriptor, frame.stamp_ns, frame.camera)
        return answer._replace(seconds=answer.seconds._replace(encode=encode))

    def localize_descriptor(
        self, descriptor: NDArray[np.float32], stamp_ns: int = 0, camera: str = ""
    ) -> Localization:
        """Return where a unit-length descriptor [D] belongs; `DataError` for any other length."""
        _require_unit_length(descriptor)
        started = time.perf_counter()
        found = self._search(descriptor)
        searched = time.perf_counter()
        rows = self._places.rows_of(found.place_ids[0])
        estimate = estimate_pose(
            found.similarity[0],
            self._places.position[rows],
            self._places.yaw_rad[rows],
            self.consensus,
            resolution_m=self._resolution_m,
        )
        accepted = estimate.confidence >= self.settings.min_confidence
        finished = time.perf_counter()
        return Localization(
            stamp_ns=stamp_ns,
            camera=camera,
            estimate=estimate,
            geodetic=self._geodetic(estimate.position),
            accepted=accepted,
            state=LOCALIZED if accepted else AMBIGUOUS,
            reason=self._reason(estimate.confidence, accepted),
            matches=self._matches(rows, found.similarity[0]),
            descriptor=descriptor,
            seconds=StepSeconds(search=searched - started, estimate=finished - searched),
        )

    def _search(self, descriptor: NDArray[np.float32]) -> Neighbours:
        """Return the candidates of one descriptor without the padding of small maps."""
        count = max(self.settings.candidates, self.settings.top_k)
        found = self._index.search(descriptor[None], min(count, len(self._places.ids)))
        real = found.place_ids[0] >= 0
        return Neighbours(found.place_ids[:, real], found.similarity[:, real])

    def _matches(
        self, rows: NDArray[np.int64], similarity: NDArray[np.float32]
    ) -> tuple[Match, ...]:
        """Return the first `top_k` candidates with what the map knows of them."""
        places = self._places
        return tuple(
            Match(
                place_id=int(places.ids[row]),
                similarity=float(value),
                position=places.position[row],
                yaw_rad=float(places.yaw_rad[row]),
                image=places.image[row],
            )
            for row, value in zip(
                rows[: self.settings.top_k], similarity[: self.settings.top_k], strict=True
            )
        )

    def _reason(self, confidence: float, accepted: bool) -> str:
        """Return one readable line that says why the answer was accepted or not."""
        if accepted:
            return f"confidence {confidence:.2f}: one place stands out"
        return (
            f"confidence {confidence:.2f} is below {self.settings.min_confidence:.2f}: no place"
            f" stands out from places more than {self.consensus.place_radius_m:g} m away"
        )

    def _geodetic(self, position: FloatArray) -> tuple[float, float, float] | None:
        """Return latitude, longitude and altitude of a position, where the map has a datum."""
        if self._map.datum is None:
            return None
        lat, lon, alt = wgs84_from_enu(position[None], self._map.datum)[0]
        return float(lat), float(lon), float(alt)


def place_spacing(position: FloatArray) -> float:
    """Return the median distance (m) from a place to the nearest one elsewhere, 0 for one spot.

    position: [n, 3] metres. A hundred places are asked, so large maps stay quick to open.
    """
    spots = np.unique(position, axis=0)
    if len(spots) < 2:
        return 0.0
    distances = []
    for spot in spots[:: -(-len(spots) // 100)]:
        distance = np.linalg.norm(spots - spot, axis=1)
        distances.append(distance[distance > 0.0].min())
    return float(np.median(distances))


def _require_unit_length(descriptor: NDArray[np.float32]) -> None:
    """Raise `DataError` unless the descriptor [D] is finite and of length one."""
    length = float(np.linalg.norm(descriptor))
    # Written so that NaN counts as bad; float16 storage shortens a descriptor by up to 0.1 %.
    if not abs(length - 1.0) < 0.01:
        raise DataError(
            f"descriptor of length {length:g}: must be 1; check the image and the model"
        )
