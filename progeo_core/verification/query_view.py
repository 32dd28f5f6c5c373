"""Image of a query with its local features, which are found once, and only where they are asked."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from progeo_core.errors import UsageError

if TYPE_CHECKING:
    from progeo_core.geo import FloatArray
    from progeo_core.images.codec import Image
    from progeo_core.images.intrinsics import Intrinsics
    from progeo_core.inference.feature_extractor import Keypoints

# No image is enlarged beyond this side (pixels): the network's time grows with the area.
_MAX_SIDE = 1280


class QueryView:
    """Image, the calibration of its camera (None unknown), and its local features.

    image: RGB [h, w, 3]. find: finds the local features of an image that is scaled to a longest
    side (pixels), None for the extractor's own choice.
    """

    def __init__(
        self,
        image: Image,
        intrinsics: Intrinsics | None,
        find: Callable[[Image, int | None], Keypoints],
        side: int | None = None,
    ) -> None:
        """Take an image; nothing is found yet."""
        self.image, self.intrinsics, self._find, self._side = image, intrinsics, find, side

    @property
    def camera(self) -> Intrinsics | None:
        """Return the calibration for the pixels of the image, None where it is of other images."""
        return self._camera_and_fault[0]

    @property
    def camera_fault(self) -> str:
        """Return why `camera` is None, "" where it is not."""
        return self._camera_and_fault[1]

    @functools.cached_property
    def _camera_and_fault(self) -> tuple[Intrinsics | None, str]:
        if self.intrinsics is None:
            return None, "the calibration of the camera is unknown"
        try:
            return self.intrinsics.scaled(self.image.shape[1], self.image.shape[0]), ""
        except UsageError as error:
            return None, str(error)

    @functools.cached_property
    def features(self) -> Keypoints:
        """Return the local features of the image."""
        return self._find(self.image, self._side)

    @functools.cached_property
    def rays(self) -> FloatArray | None:
        """Return where the ray of each feature meets its camera's plane z = 1 [n, 2].

        NaN where there is no such ray. None where `camera` is.
        """
        return None if self.camera is None else self.camera.normalized(self.features.points)

    def with_focal_length(self, focal_px: float) -> QueryView:
        """Return a view whose features are found as a camera of that focal length sees them.

        Local features are recognised over small differences of scale only. Raises `ValueError`
        where the focal length of the image is unknown.
        """
        if self.camera is None:
            raise ValueError("an image without a calibration has no focal length")
        side = round(max(self.image.shape[:2]) * focal_px / self.camera.focal_x)
        return QueryView(self.image, self.intrinsics, self._find, min(side, _MAX_SIDE))
