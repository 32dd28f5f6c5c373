"""Compare a drive with a map by what changes along it, not by what sets all of it apart.

Light, season and camera shift all images of a drive alike. Their running mean shows that shift, and
without it views of one place are more alike: what `descriptor_contrast` does with the map's own
statistics, here with the drive's, while its images come in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from progeo_core.descriptor_contrast import DescriptorContrast

View = NDArray[np.float32]

# Images that the map's own mean counts as: a few images share their places, not only their light.
_PRIOR_IMAGES = 30


class DriveContrast:
    """Remember what the images of one camera share, while they come in."""

    def __init__(self, contrast: DescriptorContrast) -> None:
        """Take the contrast of the map."""
        self._contrast = contrast
        self._sum = np.zeros_like(contrast.mean)
        self._count = 0

    def view(self, descriptor: NDArray[np.float32]) -> View:
        """Return the view [D] of a descriptor [D] without what the images so far share."""
        shared = self._sum / np.float32(self._count + _PRIOR_IMAGES)
        view: View = self._contrast.apply(descriptor[None], shared)[0]
        return view

    def add(self, descriptor: NDArray[np.float32]) -> None:
        """Count one more image, once per piece of the drive: a camera that stands adds nothing."""
        self._sum += self._contrast.standardize(descriptor[None])[0]
        self._count += 1
