import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.errors import DataError
from progeo_core.train.benchmark import Recall
from progeo_core.train.checkpoint import load_checkpoint, save_checkpoint
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes
from progeo_core.train.settings import RunSettings, Stage2Settings, TrainingSettings
from progeo_core.train.stage2 import (
    EncoderTraining,
    GroupTask,
    adopt_best,
    load_weights,
    train_encoder,
)
from progeo_core.train.training_set import TrainingSet, read_training_set

ALONE = Processes(0, 1, torch.device("cpu"))
SETTINGS = TrainingSettings(
    places=PlaceClassSettings(N=2, L=1, groups_num=2),
    stage2=Stage2Settings(
        batch_size=4,
        epochs_num=4,
        iterations_per_epoch=3,
        image_size=64,
        lr=1e-3,
        soft_triplet=True,
    ),
    run=RunSettings(num_workers=0),
)


@pytest.fixture(scope="module")
def training_set(dataset: Path) -> TrainingSet:
    return read_training_set(dataset / "train", SETTINGS.places)


def make_training(
    training_set: TrainingSet, network: nn.Module, settings: TrainingSettings = SETTINGS
) -> EncoderTraining:
    torch.manual_seed(5)
    tasks = [GroupTask(group, 16, torch.randn(len(group), 16)) for group in training_set.groups]
    return EncoderTraining(network, tasks, training_set.images, settings, ALONE)


def run(
    training: EncoderTraining, folder: Path, epochs: int, history: list[Any] | None = None
) -> list[Any]:
    stage2 = dataclasses.replace(SETTINGS.stage2, epochs_num=epochs)
    settings = dataclasses.replace(SETTINGS, stage2=stage2)
    folder.mkdir(exist_ok=True)
    with Journal(folder, ALONE, history) as journal:
        train_encoder(training, lambda _: falling_recall(training), settings, journal)
        return journal.history


def falling_recall(training: EncoderTraining) -> Recall:
    """Make the second epoch the best one."""
    share = {1: 0.5, 2: 0.9}.get(training.epochs_done, 0.1)
    return Recall("queries", dict.fromkeys((1, 5, 10, 20), share), 25.0, 10, 10, 10)


@pytest.mark.slow
def test_a_run_that_stops_and_resumes_ends_with_the_same_losses(
    training_set: TrainingSet, network: nn.Module, tmp_path: Path
) -> None:
    start = {key: value.clone() for key, value in network.state_dict().items()}
    history = run(make_training(training_set, network), tmp_path / "whole", 4)
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    assert [row["epoch"] for row in history] == [0, 1, 2, 3]
    assert all(row["loss_triplet"] > 0 and row["loss_texts"] > 0 for row in history)

    network.load_state_dict(start)
    run(make_training(training_set, network), tmp_path / "stopped", 3)
    network.load_state_dict(start)
    resumed = make_training(training_set, network)
    old = tmp_path / "stopped" / "last_checkpoint.pth"
    earlier = resumed.load(old)
    adopt_best(old, tmp_path / "resumed")
    assert run(resumed, tmp_path / "resumed", 4, earlier) == history
    for key, value in network.state_dict().items():
        assert torch.equal(value, weights[key]), key
    best = [load_checkpoint(tmp_path / name / "best_model.pth") for name in ("whole", "resumed")]
    assert all(torch.equal(best[0][key], best[1][key]) for key in best[0])
    assert not all(torch.equal(best[0][key], weights[key]) for key in weights)
    assert json.loads((tmp_path / "resumed" / "history.json").read_text()) == history


@pytest.mark.slow
def test_the_loss_falls(training_set: TrainingSet, network: nn.Module, tmp_path: Path) -> None:
    stage2 = dataclasses.replace(SETTINGS.stage2, iterations_per_epoch=12, lr=1e-2)
    settings = dataclasses.replace(SETTINGS, stage2=stage2)
    history = run(make_training(training_set, network, settings), tmp_path, 3)
    # Epochs 0 and 2 train the first group.
    assert history[2]["loss_classes"] < history[0]["loss_classes"]


AUTHORS_KEYS = {
    "epoch_num",
    "model_state_dict",
    "optimizer_state_dict",
    "classifiers_state_dict",
    "optimizers_state_dict",
    "best_val_recall1",
}


def test_the_authors_last_checkpoint_resumes(
    training_set: TrainingSet, network: nn.Module, tmp_path: Path
) -> None:
    """Write the authors' keys, recall in percent, parameters in another order."""
    run(make_training(training_set, network), tmp_path, 1)
    content = load_checkpoint(tmp_path / "last_checkpoint.pth")
    assert content.keys() >= AUTHORS_KEYS
    authors = {key: content[key] for key in AUTHORS_KEYS}
    names = list(authors["model_state_dict"])
    authors["model_state_dict"] = {
        name: authors["model_state_dict"][name] for name in reversed(names)
    }
    state = authors["optimizer_state_dict"]["state"]
    authors["optimizer_state_dict"]["state"] = {
        len(names) - 1 - row: state[row] for row in sorted(state, reverse=True)
    }
    authors["best_val_recall1"] = np.float64(50.0)
    torch.save(authors, tmp_path / "authors.pth")
    training = make_training(training_set, network)
    assert training.load(tmp_path / "authors.pth") == []
    assert training.epochs_done == 1
    assert training.best_recall1 == 0.5
    # The second epoch is better than those 50 %.
    run(training, tmp_path / "resumed", 2)
    assert (tmp_path / "resumed" / "best_model.pth").is_file()


def test_groups_are_found_by_their_classes(
    training_set: TrainingSet, network: nn.Module, tmp_path: Path
) -> None:
    """An earlier version wrote them in another order."""
    first = make_training(training_set, network)
    run(first, tmp_path, 2)
    swapped = training_set._replace(groups=training_set.groups[::-1])
    second = make_training(swapped, network)
    second.load(tmp_path / "last_checkpoint.pth")
    for one, two in zip(first.tasks, second.tasks[::-1], strict=True):
        assert torch.equal(one.classifier.weight, two.classifier.weight)
    other = training_set._replace(groups=training_set.groups[:1])
    with pytest.raises(DataError, match=r"last_checkpoint.pth: of other classes"):
        make_training(other, network).load(tmp_path / "last_checkpoint.pth")


@pytest.mark.parametrize("key", sorted(AUTHORS_KEYS))
def test_a_checkpoint_with_odd_content_is_refused(
    training_set: TrainingSet, network: nn.Module, tmp_path: Path, key: str
) -> None:
    training = make_training(training_set, network)
    state = training.state([])
    path = tmp_path / "odd.pth"
    values: tuple[object, ...] = (None, float("nan"), "text", [], {})
    for value in values:
        save_checkpoint(state | {key: value}, path)
        with pytest.raises(DataError, match=r"odd.pth: "):
            training.load(path)


def test_a_checkpoint_of_another_backbone_is_refused(network: nn.Module) -> None:
    weights = network.state_dict()
    weights["layers.0.weight"] = torch.zeros(1)
    with pytest.raises(DataError, match=r"old.pth: .*'layers.0.weight'.* --backbone"):
        load_weights(network, weights, Path("old.pth"))


def test_unreadable_images_give_way_to_others_and_are_listed(
    dataset: Path, network: nn.Module, tmp_path: Path
) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    for number, image in enumerate(sorted((dataset / "train").iterdir())):
        copy = folder / image.name
        if number % 3:
            copy.symlink_to(image.resolve())
        else:
            copy.write_bytes(image.read_bytes()[:400])
    run(make_training(read_training_set(folder, SETTINGS.places), network), tmp_path / "run", 2)
    listed = (tmp_path / "run" / "skipped.txt").read_text().splitlines()
    assert 0 < len(listed) <= 40
    assert len(set(listed)) == len(listed)


def test_a_class_without_a_readable_image_ends_the_run(
    dataset: Path, network: nn.Module, tmp_path: Path
) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    for image in (dataset / "train").iterdir():
        (folder / image.name).touch()
    training = make_training(read_training_set(folder, SETTINGS.places), network)
    with pytest.raises(DataError, match="a class has no readable image, for example "):
        run(training, tmp_path / "run", 1)
