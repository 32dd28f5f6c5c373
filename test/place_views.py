"""Views of places for tests: cameras that look about, with local features and 3-D points."""

from __future__ import annotations

import numpy as np

from progeo_core.geo import FloatArray
from progeo_core.images.intrinsics import Intrinsics
from progeo_core.map.place_features import PlaceFeatures, PlaceView
from progeo_core.poses.camera_pose import CameraPose, quaternion_of

CAMERA = Intrinsics(640, 480, 500.0, 510.0, 320.0, 240.0)


def make_view(
    position: FloatArray, seed: int = 0, count: int = 20, camera: Intrinsics = CAMERA
) -> PlaceView:
    """Return the view of a camera at a place [3], every fourth feature without a landmark.

    Points are where a camera without distortion sees the landmarks.
    """
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    pose = CameraPose(np.array(position, np.float64), quaternion_of(turn * np.linalg.det(turn)))
    points = random.uniform((0.0, 0.0), (camera.width, camera.height), (count, 2))
    points = np.round(points * 16.0) / 16.0
    depth = random.uniform(1.0, 20.0, count)
    landmarks = pose.to_map(rays(points, camera) * depth[:, None])
    landmarks[::4] = np.nan
    sigma_m = np.where(np.arange(count) % 4 == 0, np.nan, depth / 100.0)
    features = PlaceFeatures(
        points=points.astype(np.float32),
        descriptors=random.integers(-127, 128, (count, 64)).astype(np.int8),
        landmarks=landmarks,
        sigma_m=sigma_m.astype(np.float16).astype(np.float32),
        size=(camera.width, camera.height),
    )
    return PlaceView(pose, camera, features)


def make_features(position: FloatArray, count: int = 20) -> PlaceFeatures:
    """Return the local features of a view at a place [3]."""
    features = make_view(position, count=count).features
    assert features is not None
    return features


def rays(points: FloatArray, camera: Intrinsics = CAMERA) -> FloatArray:
    """Return where the rays of pixels [n, 2] meet the plane z = 1 of the camera [n, 3]."""
    focal = camera.focal_x, camera.focal_y
    center = camera.center_x, camera.center_y
    return np.column_stack([(points - center) / focal, np.ones(len(points))])


def reprojection(view: PlaceView) -> FloatArray:
    """Return the pixels [n, 2] at which a view's camera sees its landmarks, or NaN."""
    assert view.pose is not None
    assert view.intrinsics is not None
    assert view.features is not None
    camera, in_camera = view.intrinsics, view.pose.to_camera(view.features.landmarks)
    focal, center = (camera.focal_x, camera.focal_y), (camera.center_x, camera.center_y)
    return np.asarray(in_camera[:, :2] / in_camera[:, 2:] * focal + center)
