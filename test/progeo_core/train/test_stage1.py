import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from progeo_core.dataset.place_classes import PlaceClassSettings, group_places
from progeo_core.errors import DataError
from progeo_core.model.prompt_form import PAPERS_FORM, PromptForm
from progeo_core.train.checkpoint import load_checkpoint, save_checkpoint
from progeo_core.train.journal import Journal
from progeo_core.train.processes import Processes
from progeo_core.train.prompts_file import load_prompts
from progeo_core.train.settings import RunSettings, Stage1Settings, TrainingSettings
from progeo_core.train.stage1 import (
    ClassTexts,
    GroupFeatures,
    PromptTraining,
    resume_prompts,
    train_prompts,
)

ALONE = Processes(0, 1, torch.device("cpu"))
CLASSES, IMAGES, WIDTH, DIMENSION = 6, 12, 8, 16
SETTINGS = TrainingSettings(
    places=PlaceClassSettings(N=2, L=1, groups_num=2),
    stage1=Stage1Settings(batch_size_stage1=16, epochs_num_stage1=8, checkpoint_period_stage1=4),
    run=RunSettings(seed=4),
)


def make_trainings(
    settings: TrainingSettings = SETTINGS, form: PromptForm = PAPERS_FORM
) -> list[PromptTraining]:
    """Return two groups whose classes have image features around a direction of their own."""
    random = np.random.default_rng(0)
    east = np.repeat(np.arange(2 * CLASSES) * 10.0, IMAGES)
    groups = group_places(east, 0 * east, 0 * east, 0, settings.places)
    torch.manual_seed(1)
    encoder = nn.Linear(form.n_ctx * WIDTH, DIMENSION).requires_grad_(False)
    trainings = []
    for group in groups:
        centres = random.standard_normal((len(group), DIMENSION))[group.labels]
        features = centres + 0.3 * random.standard_normal(centres.shape)
        features[3] = np.nan
        prompts = 0.02 * torch.randn(len(group), form.n_ctx, WIDTH)
        texts = ClassTexts(prompts, form, lambda vectors, _: encoder(vectors.flatten(1)))
        data = GroupFeatures(group, features.astype(np.float32))
        trainings.append(PromptTraining(data, texts, settings, ALONE))
    return trainings


def losses(trainings: list[PromptTraining]) -> list[list[float]]:
    return [training.losses for training in trainings]


def test_prompts_learn_their_classes(tmp_path: Path) -> None:
    trainings = make_trainings()
    path = train_prompts(trainings, SETTINGS, tmp_path, ALONE)
    assert all(np.diff(group).max() < 0 for group in losses(trainings))
    for training, prompts in zip(
        trainings, load_prompts(path, [one.data.group for one in trainings], WIDTH), strict=True
    ):
        assert torch.equal(prompts.prompts, training.texts.prompts)
        with torch.no_grad():
            texts = training.texts(torch.arange(CLASSES))
        usable = np.isfinite(training.data.features[:, 0])
        similarity = torch.from_numpy(training.data.features[usable]) @ texts.T
        found = similarity.argmax(1).numpy() == training.data.group.labels[usable]
        assert found.mean() > 0.95
    made = {file.name for file in tmp_path.iterdir()}
    assert {"history.json", "history.png", "prompt_learners_4.pth", "groups"} <= made


@pytest.mark.slow
def test_a_run_that_stops_and_resumes_ends_with_the_same_losses(tmp_path: Path) -> None:
    whole = make_trainings()
    train_prompts(whole, SETTINGS, tmp_path / "whole", ALONE)
    stopped = make_trainings()
    three = dataclasses.replace(SETTINGS.stage1, epochs_num_stage1=3)
    train_prompts(stopped, dataclasses.replace(SETTINGS, stage1=three), tmp_path / "stopped", ALONE)
    resumed = make_trainings()
    resume_prompts(resumed, tmp_path / "stopped")
    assert [len(group) for group in losses(resumed)] == [2, 1]
    train_prompts(resumed, SETTINGS, tmp_path / "resumed", ALONE)
    assert losses(resumed) == losses(whole)
    assert torch.equal(resumed[1].texts.prompts, whole[1].texts.prompts)


def test_a_resumed_run_goes_by_its_own_learning_rate_and_epochs(tmp_path: Path) -> None:
    path = tmp_path / "group.pth"
    (stopped, *_) = make_trainings()
    with Journal(tmp_path, ALONE) as journal:
        stopped.run_epoch(0, journal)
        stopped.save(path)
        other = dataclasses.replace(SETTINGS.stage1, lr_stage1=1e-3, epochs_num_stage1=4)
        (resumed, *_) = make_trainings(dataclasses.replace(SETTINGS, stage1=other))
        resumed.load(path)
        before = resumed.texts.prompts.detach().clone()
        # Of two epochs per group, the second begins at half the rate.
        resumed.run_epoch(1, journal)
    moved = (resumed.texts.prompts.detach() - before).abs().max()
    steps = -(-len(resumed.data.group.labels) // other.batch_size_stage1)
    assert 0.1e-3 < moved < 0.5e-3 * 2 * steps


def test_prompts_of_other_classes_are_refused(tmp_path: Path) -> None:
    trainings = make_trainings()
    train_prompts(trainings, SETTINGS, tmp_path, ALONE)
    swapped = trainings[::-1]
    with pytest.raises(DataError, match="prompts of other classes"):
        resume_prompts(swapped, tmp_path)
    (tmp_path / "begun" / "groups").mkdir(parents=True)
    trainings[0].save(tmp_path / "begun" / "groups" / "group_0.pth")
    with pytest.raises(DataError, match=r"begun: holds 1 of 2 groups.*the run before it$"):
        resume_prompts(trainings, tmp_path / "begun")
    with pytest.raises(DataError, match="no saved groups"):
        resume_prompts(trainings, tmp_path / "elsewhere")


def test_prompts_of_another_form_are_refused_with_their_own(tmp_path: Path) -> None:
    (training, *_) = make_trainings(form=PromptForm(6, "front"))
    training.save(tmp_path / "group.pth")
    with pytest.raises(DataError, match="resume with --n_ctx 6 --class_token_position front"):
        make_trainings()[0].load(tmp_path / "group.pth")
    make_trainings(form=PromptForm(6, "front"))[0].load(tmp_path / "group.pth")
    assert training.prompts().form == PromptForm(6, "front")
    old = load_checkpoint(tmp_path / "group.pth")
    del old["class_token_position"]
    save_checkpoint(old, tmp_path / "group.pth")
    make_trainings(form=PromptForm(6))[0].load(tmp_path / "group.pth")


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    training = make_trainings()[0]
    path = tmp_path / "odd.pth"
    contents: tuple[object, ...] = (
        [],
        {},
        {"class_id": torch.from_numpy(training.data.group.class_id)},
    )
    for content in contents:
        save_checkpoint(content, path)
        with pytest.raises(DataError, match=r"odd.pth: damaged, or not a checkpoint of stage 1"):
            training.load(path)
