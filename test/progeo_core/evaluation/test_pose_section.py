import dataclasses

import numpy as np

from progeo_core.evaluation.metric_poses import compare_poses
from progeo_core.evaluation.pose_section import pose_section


def test_figures_of_full_poses_stand_beside_those_of_places(office_run):
    section = pose_section(office_run)
    median = office_run.poses.full.to_json()["position_error_m"]["median"]
    assert f"{median:.3f} m" in section
    assert "most similar place" in section
    assert section.count("<img") == 3


def test_an_unknown_rotation_is_said_and_not_drawn(office_run):
    answers = [office_run.localizations[one] for one in office_run.evaluated]
    truth = office_run.source.truth.position[office_run.rows[office_run.evaluated]]
    poses = compare_poses(answers, truth, np.full((len(answers), 4), np.nan))
    section = pose_section(dataclasses.replace(office_run, poses=poses))
    assert "The true rotation of the camera is unknown." in section
    assert section.count("<img") == 2


def test_a_run_without_full_poses_has_no_such_section(run):
    assert pose_section(run) == ""
