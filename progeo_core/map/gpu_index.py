"""Copies of exact indexes on a GPU, where FAISS was built for GPUs (`faiss-gpu-cu12` on PyPI)."""

from __future__ import annotations

import logging
from typing import Any

import faiss

# FAISS's kernels select no more neighbours than this.
MAX_NEIGHBOURS = 2048
# Working memory, of which FAISS reserves more than a gigabyte by itself.
_SCRATCH_BYTES = 64 << 20

_log = logging.getLogger(__name__)


def has_gpu() -> bool:
    """Say whether this FAISS can use a GPU of this machine."""
    # FAISS without GPUs lacks the function, or says 0.
    count = getattr(faiss, "get_num_gpus", int)
    return bool(count() > 0)


def copy_to_gpu(index: Any) -> Any | None:
    """Return a copy of a flat float16 index with ids on the first GPU, None where none fits."""
    if not has_gpu():
        return None
    try:
        resources = faiss.StandardGpuResources()
        resources.setTempMemory(_SCRATCH_BYTES)
        return faiss.index_cpu_to_gpu(resources, 0, index)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        _log.warning("the places are searched on the CPU, as the GPU cannot hold them: %s", reason)
        return None
