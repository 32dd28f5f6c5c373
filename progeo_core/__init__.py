"""Visual place recognition and localization with ProGEO descriptors, free of ROS."""

import os

__all__: list[str] = []

# torch's and FAISS's threads would spin while they wait for each other. On a machine that other
# programs share, which a robot's computer is, that makes an image take three times as long. OpenMP
# reads this when these are imported, which is after this package is.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
