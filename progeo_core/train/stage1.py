"""Stage 1: learn one prompt per place class from frozen image features (paper, section 3.2)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import DataError
from progeo_core.model.prompt_form import END, PromptForm
from progeo_core.train.checkpoint import content_of, load_checkpoint, save_checkpoint
from progeo_core.train.journal import Journal
from progeo_core.train.losses import prompt_contrastive
from progeo_core.train.optimizer_state import restore_averages
from progeo_core.train.precision import Precision, RunningLoss
from progeo_core.train.processes import Processes
from progeo_core.train.prompts_file import GroupPrompts, save_prompts
from progeo_core.train.settings import TrainingSettings

# Keeps the draws of the stages apart, which share one seed.
_STAGE = 1
PROMPTS_FILE = "last_prompt_learners.pth"


class ClassTexts(nn.Module):
    """Text features of the classes of one group; only `prompts` are trained.

    prompts: [classes, n, width], the learnable vectors of a form.
    encode: prompt vectors [n, form.n_ctx, width] and their form → text features [n, E], by the
        frozen text encoder.
    """

    def __init__(
        self, prompts: Tensor, form: PromptForm, encode: Callable[[Tensor, PromptForm], Tensor]
    ) -> None:
        super().__init__()
        self.prompts = nn.Parameter(prompts)
        self.form = form
        self._encode = encode

    def forward(self, labels: Tensor) -> Tensor:
        """Return text features [n, E] of labels [n]; each class is encoded once."""
        classes, index = torch.unique(labels, return_inverse=True)
        return self._encode(self.prompts[classes], self.form)[index]


class GroupFeatures(NamedTuple):
    """Group and the frozen image features [n, E] of its images, in its order."""

    group: PlaceGroup
    features: NDArray[np.float32]


class PromptTraining:
    """Training of the prompts of one group, one epoch at a time."""

    def __init__(
        self, data: GroupFeatures, texts: ClassTexts, settings: TrainingSettings, where: Processes
    ) -> None:
        self.data = data
        self.texts = texts.to(where.device)
        self.losses: list[float] = []
        self._settings = settings
        self._where = where
        self._parallel = where.parallel(self.texts)
        self._precision = Precision(settings.run, where.device)
        self._optimizer = torch.optim.Adam(self.texts.parameters(), settings.stage1.lr_stage1)
        epochs = settings.stage1.epochs_num_stage1 // settings.places.groups_num
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, max(epochs, 1))
        self._labels = data.group.labels
        # An unreadable image has a feature of NaN.
        self._usable = np.flatnonzero(np.isfinite(data.features[:, 0]))

    def run_epoch(self, epoch: int, journal: Journal) -> None:
        """Train once on all features of the group, in an order given by (seed, epoch)."""
        running = RunningLoss()
        rate = float(self._schedule.get_last_lr()[0])
        with journal.bar(f"stage 1, epoch {epoch}", len(self._usable)) as bar:
            for rows in self._batches(epoch):
                loss = self._step(rows)
                bar.advance(len(rows), running.add(loss[None]), rate)
        self._schedule.step()
        self.losses.append(running.means()[0])

    def prompts(self) -> GroupPrompts:
        """Return the prompts as they are now, with the classes that they belong to."""
        return GroupPrompts(
            torch.from_numpy(self.data.group.class_id),
            self.texts.prompts.detach().cpu().clone(),
            self.texts.form.class_token_position,
        )

    def save(self, path: Path) -> None:
        """Write everything that an exact resume needs."""
        state = {
            "losses": self.losses,
            "class_id": torch.from_numpy(self.data.group.class_id),
            "prompts": self.texts.prompts.detach(),
            "class_token_position": self.texts.form.class_token_position,
            "optimizer": self._optimizer.state_dict(),
            "precision": self._precision.state(),
        }
        save_checkpoint(state, path)

    def load(self, path: Path) -> None:
        """Load what `save` wrote; raise `DataError` if it is of other classes or another form.

        The learning rate, and how many epochs it falls over, are those of this run.
        """
        state: dict[str, Any] = load_checkpoint(path)
        with content_of(path, "a checkpoint of stage 1"):
            if not torch.equal(state["class_id"], torch.from_numpy(self.data.group.class_id)):
                raise DataError(
                    f"{path}: prompts of other classes; resume with the same images and the same"
                    " --M, --alpha, --N, --L, --groups_num and --min_images_per_class"
                )
            position = state.get("class_token_position", END)
            form = PromptForm(state["prompts"].shape[1], position)
            if form != self.texts.form:
                raise DataError(f"{path}: prompts of another form; resume with {form.flags}")
            self.losses = state["losses"]
            with torch.no_grad():
                self.texts.prompts.copy_(state["prompts"])
            restore_averages(self._optimizer, state["optimizer"]["state"])
            self._schedule_from(len(self.losses))
            self._precision.restore(state["precision"])

    def _schedule_from(self, epochs: int) -> None:
        with warnings.catch_warnings():
            # The steps of the optimizer that belong to these are of an earlier run.
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
            for _ in range(epochs):
                self._schedule.step()

    def _step(self, rows: NDArray[np.int64]) -> Tensor:
        device = self._where.device
        features = torch.from_numpy(self.data.features[rows]).to(device)
        labels = torch.from_numpy(self._labels[rows]).to(device)
        with self._precision.forward():
            own = self._parallel(labels[self._where.share(len(rows))])
        texts = self._where.join(own.float())
        loss = prompt_contrastive(features, texts, labels)
        self._precision.step(loss, [self._optimizer])
        return loss

    def _batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        random = np.random.default_rng((self._settings.run.seed, _STAGE, epoch))
        order = random.permutation(self._usable)
        size = self._settings.stage1.batch_size_stage1
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            # The last batch may be a few short of what the processes can share equally.
            rows = rows[: len(rows) - len(rows) % self._where.world]
            if len(rows):
                # Ascending rows read a memory-mapped file in one sweep.
                yield np.sort(rows)


def train_prompts(
    trainings: list[PromptTraining], settings: TrainingSettings, folder: Path, where: Processes
) -> Path:
    """Train the remaining epochs of the groups in turn and return the file of prompts.

    After every epoch the group's state is in `groups/`; the prompts of all groups are in
    `last_prompt_learners.pth` at the end, and every `checkpoint_period_stage1` epochs in a
    numbered file.
    """
    done = sum(len(training.losses) for training in trainings)
    history = [
        {"epoch": epoch, "loss": trainings[epoch % len(trainings)].losses[epoch // len(trainings)]}
        for epoch in range(done)
    ]
    with Journal(folder, where, history) as journal:
        for number, training in enumerate(trainings):
            _save(training, group_file(folder, number), where)
        for epoch in range(done, settings.stage1.epochs_num_stage1):
            number = epoch % len(trainings)
            training = trainings[number]
            training.run_epoch(epoch, journal)
            journal.record(epoch, loss=training.losses[-1])
            _save(training, group_file(folder, number), where)
            if (epoch + 1) % settings.stage1.checkpoint_period_stage1 == 0:
                _save_all(trainings, folder / f"prompt_learners_{epoch + 1}.pth", where)
    return _save_all(trainings, folder / PROMPTS_FILE, where)


def resume_prompts(trainings: list[PromptTraining], old_folder: Path) -> None:
    """Load the state of each group that an earlier run saved; `DataError` where one is missing."""
    files = [group_file(old_folder, number) for number in range(len(trainings))]
    saved = sum(file.is_file() for file in files)
    if not saved:
        raise DataError(f"{old_folder}: no saved groups; give the folder of a stage-1 run")
    if saved < len(files):
        raise DataError(
            f"{old_folder}: holds {saved} of {len(files)} groups, as its run ended while it began;"
            " resume from the run before it"
        )
    for training, file in zip(trainings, files, strict=True):
        training.load(file)


def group_file(folder: Path, number: int) -> Path:
    """Return where a run keeps the state of one group."""
    return folder / "groups" / f"group_{number}.pth"


def _save(training: PromptTraining, path: Path, where: Processes) -> None:
    where.from_main(lambda: training.save(path))


def _save_all(trainings: list[PromptTraining], path: Path, where: Processes) -> Path:
    where.from_main(lambda: save_prompts([training.prompts() for training in trainings], path))
    return path
