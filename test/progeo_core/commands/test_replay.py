import dataclasses
import json

import numpy as np
import pytest

from progeo_core.bags.reader import Bag
from progeo_core.bags.writer import write_bag
from progeo_core.errors import ImageError
from progeo_core.records.records import read_records


@pytest.fixture(scope="session")
def campus_bag(campus_loop, tmp_path_factory):
    """Return a bag of eight odd campus frames."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    write_bag(path, read_records(campus_loop / "records.csv").select(slice(1, 17, 2)))
    return path


TOPICS = ("--image-topic", "/camera/image_raw", "--ground-truth-topic", "/ground_truth/pose")


@pytest.mark.slow
def test_an_offline_replay_prints_a_table_and_leaves_a_report(
    progeo, campus_map, campus_bag, small_model, tmp_path
):
    report = tmp_path / "report"
    done = progeo(
        "replay", campus_bag, "--map", campus_map,
        "--report", report, "--radius", 5, "--model", small_model,
        "--bag-out", tmp_path / "answers",
    )  # fmt: skip
    assert done.code == 0, done.err
    for text in ("Recall@1", "single image", "sequence", "8: 8 answered, 0 dropped", "ms median"):
        assert text in done.out
    assert str(report / "report.html") in done.out
    summary = json.loads((report / "summary.json").read_text())
    assert (summary["images"], summary["mode"]) == (8, "offline")
    with Bag(tmp_path / "answers") as answers:
        published = answers.topics["/progeo_localizer/pose"].count
    assert published == summary["sequence"]["accepted"] > 0
    assert summary["protocol"]["radius_m"] == 5.0
    assert f"{summary['recall_at']['1']:.3f}" in done.out


@pytest.mark.slow
def test_images_that_cannot_be_used_are_named(
    progeo, campus_map, campus_bag, small_model, tmp_path, monkeypatch
):
    usual = Bag.images

    def one_damaged(self, *given):
        for row, taken in enumerate(usual(self, *given)):
            cut = row == 1 and len(given) == 1
            yield taken._replace(image=ImageError("image 1 is cut")) if cut else taken

    monkeypatch.setattr(Bag, "images", one_damaged)
    done = progeo(
        "replay", campus_bag, "--map", campus_map, "--report", tmp_path / "report",
        "--model", small_model, "--single", "--verification-ms", 0,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "skipped: image 1 is cut" in done.err
    assert "8: 7 answered, 1 dropped" in done.out


@pytest.mark.parametrize("flag", [("--device", "cpu"), ("--runtime", "torch")])
def test_the_live_node_chooses_its_device_and_runtime(progeo, campus_map, campus_bag, flag):
    done = progeo("replay", campus_bag, "--map", campus_map, *TOPICS, "--live", *flag)
    assert done.code == 2
    assert "--device and --runtime go with an offline replay" in done.error


def test_a_topic_that_is_not_there_is_named_with_those_that_are(progeo, campus_map, campus_bag):
    done = progeo(
        "replay", campus_bag, "--map", campus_map,
        "--image-topic", "/nope", "--ground-truth-topic", "/ground_truth/pose",
    )  # fmt: skip
    assert done.code == 1
    assert "there is no topic '/nope'; topics with images: /camera/image_raw" in done.error


def test_of_several_topics_one_has_to_be_chosen(progeo, campus_map, campus_loop, tmp_path):
    records = read_records(campus_loop / "records.csv").select(slice(0, 2))
    turn = np.tile([0.0, 0.0, 0.0, 1.0], (2, 1))
    write_bag(tmp_path / "drive", dataclasses.replace(records, orientation=turn))
    done = progeo("replay", tmp_path / "drive", "--map", campus_map)
    assert done.code == 2
    assert "several pose topics, choose with --ground-truth-topic: /ground_truth/" in done.error
