"""The campus loop driven twice with odometry that drifts: absolute trajectory error by evo."""

from pathlib import Path

import numpy as np
import pytest

from progeo_core.errors import MissingDependencyError
from progeo_core.poses.planar_pose import between, compose
from test.drifting_drive import (
    LAP,
    LEVELS,
    SIGMA,
    ate,
    drifting,
    errors,
    graph_of,
    look_alike_loops,
    loop,
    right_loops,
    stamp,
    two_laps,
    wrong_loops,
)

pytest.importorskip("gtsam", reason="the pose graph is an extra: pip install gtsam")
evo = pytest.importorskip("evo", reason="evo measures trajectories")

from progeo_core.slam.pose_graph import PoseGraph, PosePrior  # noqa: E402

SEEDS = range(5)


@pytest.fixture(scope="module")
def truth(campus_loop: Path) -> np.ndarray:
    return two_laps(campus_loop)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_the_error_falls_and_wrong_loops_do_no_harm(truth: np.ndarray, level: str) -> None:
    ratios = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        odometry = drifting(truth, level, rng)
        graph = graph_of(odometry)
        for one in right_loops(truth, rng):
            graph.add_loop(one)
        # Every other seed has as many single wrong closures as a bad day brings.
        for one in wrong_loops(20 * (seed % 2), rng):
            graph.add_loop(one)
        before, after = errors(graph, odometry, truth)
        assert after < before
        ratios.append(before / after)
    print(f"{level}: ATE falls {np.mean(ratios):.1f} times (least {min(ratios):.1f})")
    assert np.mean(ratios) >= 5.0


@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_loops_alone_never_make_it_worse(truth: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    odometry = drifting(truth, "middle", rng)
    graph = graph_of(odometry)
    for one in wrong_loops(20, rng):
        graph.add_loop(one)
    before, after = errors(graph, odometry, truth)
    assert after <= 1.01 * before


@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_loops_that_agree_lose_against_right_ones(truth: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    odometry = drifting(truth, "middle", rng)
    graph = graph_of(odometry)
    for one in right_loops(truth, rng):
        graph.add_loop(one)
    for one in look_alike_loops():
        graph.add_loop(one)
    before, after = errors(graph, odometry, truth)
    assert after < before


def test_map_poses_give_the_frame_and_wrong_ones_do_not(truth: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    odometry = drifting(truth, "middle", rng)
    graph = graph_of(odometry)
    for row in range(0, 2 * LAP, 6):
        wrong = row in {0, 60}
        pose = truth[row] + ([30.0, 30.0, 2.0] if wrong else rng.normal(size=3) * SIGMA / 2)
        assert graph.add_prior(PosePrior(stamp(row), pose, np.diag(SIGMA**2)))
    straightened = graph.optimize()
    assert straightened is not None
    assert np.flatnonzero(~straightened.priors_used).tolist() == [0, 10]
    rows = np.searchsorted(straightened.stamp_ns, [stamp(row) for row in range(2 * LAP)])
    away = np.linalg.norm(straightened.pose[rows, :2] - truth[:, :2], axis=1)
    assert away.max() < 2.0
    there = compose(straightened.map_to_odometry(), odometry[-1])
    assert there == pytest.approx(straightened.pose[-1], abs=1e-6)


def test_a_session_whose_odometry_restarted_is_joined_by_loops(truth: np.ndarray) -> None:
    graph = PoseGraph()
    for row in range(2 * LAP):
        segment = int(row >= LAP)
        graph.add_odometry(
            stamp(row), between(truth[LAP * segment + 5 * segment], truth[row]), segment
        )
    for row in range(LAP, 2 * LAP, 2):
        graph.add_loop(loop(row - LAP, row, np.zeros(3)))
    straightened = graph.optimize()
    assert straightened is not None
    assert straightened.loops_used.all()
    rows = np.searchsorted(straightened.stamp_ns, [stamp(row) for row in range(2 * LAP)])
    assert ate(straightened.pose[rows], truth) < 0.3


def test_what_odometry_does_not_cover_or_rules_out_is_refused(truth: np.ndarray) -> None:
    graph = graph_of(truth)
    assert not graph.add_loop(loop(0, 500, np.zeros(3)))
    assert not graph.add_prior(PosePrior(stamp(500), np.zeros(3), np.eye(3)))
    assert not graph.add_loop(loop(0, 30, np.zeros(3))), "30 poses on is far away"
    assert PoseGraph().optimize() is None


def test_a_robot_that_stands_adds_nothing_but_its_time() -> None:
    graph = PoseGraph()
    for row in range(1000):
        graph.add_odometry(stamp(row), np.array([0.01 * (row % 2), 0.0, 0.0]))
    assert graph.newest_ns == stamp(999)
    assert len(graph._odometry) == 2
    straightened = graph.optimize()
    assert straightened is not None
    assert straightened.pose == pytest.approx(straightened.odometry)


def test_a_release_that_crashes_with_this_numpy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "4.2")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    PoseGraph()
    monkeypatch.setattr(np, "__version__", "2.2.6")
    with pytest.raises(MissingDependencyError, match=r"GTSAM 4.2 crashes with NumPy 2.*'numpy<2'"):
        PoseGraph()


def test_the_frame_of_odometry_stays_where_it_did_not_start_at_zero(truth: np.ndarray) -> None:
    start = np.array([40.0, -7.0, 2.0])
    graph = PoseGraph()
    for row, pose in enumerate(compose(start, drifting(truth, "low", np.random.default_rng(3)))):
        graph.add_odometry(stamp(row), pose)
    np.testing.assert_allclose(graph.optimize().map_to_odometry(), np.zeros(3), atol=1e-9)
    for row in range(LAP, 2 * LAP):
        graph.add_loop(loop(row - LAP, row, between(truth[row - LAP], truth[row])))
    solved = graph.optimize()
    assert np.count_nonzero(solved.loops_used) > LAP / 2
    np.testing.assert_allclose(solved.pose[0], solved.odometry[0], atol=1e-3)
