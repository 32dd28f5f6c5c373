"""VLAD over an image's local features, and its join with the descriptor of a network.

Jégou, Douze, Schmid, Pérez 2010, "Aggregating Local Descriptors into a Compact Image
Representation"; words count alike whatever falls on them, as in Arandjelović, Zisserman 2013, "All
about VLAD".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from progeo_core.errors import ModelMismatchError

# Names of the weights of a local head begin with this.
LOCAL = "local."

Rows = NDArray[np.float32]


class LocalHead(NamedTuple):
    """Head that joins a network's descriptor with the local features of the same image.

    words: [k, F] of unit length. network_projection: [N, C] and network_offset: [N] shorten the
    network's descriptor, local_projection: [L, k F] and local_offset: [L] the VLAD. network_weight:
    [1] length of the first where that of the second is 1. N + L is a power of two.
    """

    words: Rows
    network_projection: Rows
    network_offset: Rows
    network_weight: Rows
    local_projection: Rows
    local_offset: Rows

    @classmethod
    def of_weights(cls, weights: Mapping[str, Rows], source: str) -> LocalHead:
        """Read the head off the weights of a model; `ModelMismatchError` where they are of none."""
        try:
            head = cls(*(np.asarray(weights[LOCAL + name], np.float32) for name in cls._fields))
        except KeyError as error:
            raise ModelMismatchError(f"{source}: the local head lacks its weight {error}") from None
        words, network, network_offset, weight, local, local_offset = (one.shape for one in head)
        fits = len(words) == len(network) == 2 and network[:1] == network_offset and weight == (1,)
        fits = fits and local == (*local_offset, head.words.size) and len(local_offset) == 1
        if not fits or head.dimension & (head.dimension - 1):
            raise ModelMismatchError(f"{source}: the weights of the local head do not fit together")
        return head

    @property
    def dimension(self) -> int:
        """Return the length D of joined descriptors."""
        return len(self.network_offset) + len(self.local_offset)

    def join(self, described: Rows, features: Rows) -> Rows:
        """Return the joined descriptor [D] of one image, of unit length.

        described: [C] of unit length, by the network. features: [m, F] of unit length, m ≥ 0.
        Values of both are mixed, as maps divide each value by its spread: all have to matter alike.
        """
        network = _unit(self.network_projection @ described + self.network_offset)
        local = _unit(self.local_projection @ vlad(features, self.words) + self.local_offset)
        both = np.concatenate([self.network_weight * network, local])
        return _unit(_mixing(self.dimension) @ both)


def vlad(features: Rows, words: Rows) -> Rows:
    """Return the VLAD [k F] of features [m, F] over words [k, F], of unit length; m = 0 gives 0.

    The residuals of each word are summed, their sum is scaled to unit length, and every number is
    replaced by its signed root.
    """
    word = (features @ words.T).argmax(axis=1)
    chosen = np.zeros((len(words), len(features)), np.float32)
    chosen[word, np.arange(len(features))] = 1.0
    residuals = _unit(chosen @ features - chosen.sum(axis=1)[:, None] * words)
    # A word without features has no residual, and a sum that should be 0 has digits of rounding.
    residuals[chosen.sum(axis=1) == 0] = 0.0
    rooted = np.sign(residuals) * np.sqrt(np.abs(residuals))
    return _unit(rooted.ravel())


@functools.cache
def _mixing(size: int) -> Rows:
    """Return the Hadamard matrix [size, size] that Sylvester's construction gives."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def _unit(rows: Rows) -> Rows:
    """Return rows [..., D] scaled to unit length; zeros stay."""
    scaled: Rows = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-9))
    return scaled
