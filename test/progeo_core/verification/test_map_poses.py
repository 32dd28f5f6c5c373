import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from progeo_core.images.calibration_file import read_calibration
from progeo_core.inference.feature_extractor import FeatureExtractor
from progeo_core.map.build import build_map
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.summary import structure_lines
from progeo_core.poses.camera_pose import rotation_of
from progeo_core.records.image_source import source_of_records
from progeo_core.records.records import read_records
from progeo_core.verification.map_poses import add_poses
from progeo_core.verification.view_finder import DepthViewFinder

FOLDER = Path(str(resources.files("progeo_core"))) / "demo_data" / "office"
SIGMA_M = 0.05


@pytest.mark.slow
def test_places_of_which_only_positions_are_known_get_camera_poses(
    small_encoder, tmp_path: Path
) -> None:
    office = read_records(FOLDER / "map.csv").select(np.arange(8, 34))
    rough = office.position + np.random.default_rng(0).normal(0.0, SIGMA_M, office.position.shape)
    positions = tmp_path / "positions.csv"
    with positions.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "x_m", "y_m", "z_m"])
        table.writerows(zip(office.images, *rough.T, strict=True))
    source = source_of_records(positions, read_calibration(FOLDER / "camera_info.yaml"))
    path = tmp_path / "positions.progeo"
    build_map(path, source, small_encoder, structure=DepthViewFinder(FeatureExtractor("cpu")))
    compared: list[int] = []
    with PlaceMap.open(path, writable=True) as place_map:
        report = add_poses(place_map, compared.append)
        views = place_map.views(place_map.ids())
        said = structure_lines(place_map.view_counts(), place_map.structure)["3-D points"]
        np.testing.assert_allclose(place_map.poses().position, rough, atol=1e-6)
    assert report.places == sum(compared) == len(office.images)
    assert report.posed >= 5
    assert f"camera poses of {report.posed} of {report.places} places" in said
    known = [(row, view.pose) for row, view in enumerate(views) if view is not None and view.pose]
    assert len(known) == report.posed
    for row, pose in known:
        assert np.linalg.norm(pose.position - office.position[row]) < 0.3
        turn = pose.rotation.T @ rotation_of(office.orientation[row])
        assert Rotation.from_matrix(turn).magnitude() < np.radians(6.0)


def test_a_map_whose_camera_poses_are_known_is_left_as_it_is(office_map) -> None:
    with PlaceMap.open(office_map) as place_map:
        assert add_poses(place_map) == (0, 0)
