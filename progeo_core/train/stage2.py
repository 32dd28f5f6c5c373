"""Stage 2: train the image encoder against classes and their prompts (paper, section 3.3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import DataError
from progeo_core.geo import FloatArray
from progeo_core.inference.device import AUTO, choose_device
from progeo_core.model.freezing import keep_statistics
from progeo_core.records.image_list import ImageList
from progeo_core.train.augmentation import Augmentation
from progeo_core.train.benchmark import Recall
from progeo_core.train.checkpoint import content_of, load_checkpoint, save_checkpoint
from progeo_core.train.class_sampler import ClassSampler
from progeo_core.train.group_images import Batch, GroupImages, load_batches
from progeo_core.train.journal import Journal
from progeo_core.train.losses import CosFace, image_to_text, soft_triplet
from progeo_core.train.optimizer_state import restore_averages, restore_optimizer
from progeo_core.train.precision import Precision, RunningLoss
from progeo_core.train.processes import Processes
from progeo_core.train.settings import TrainingSettings
from progeo_core.train.towers import normalize

# Keeps the draws of the stages apart, which share one seed.
_STAGE = 2
BEST_MODEL, LAST_CHECKPOINT = "best_model.pth", "last_checkpoint.pth"

_log = logging.getLogger(__name__)


class Losses(NamedTuple):
    """Parts of the loss of one batch; a part that is switched off is zero."""

    classes: Tensor
    texts: Tensor
    triplet: Tensor

    @property
    def total(self) -> Tensor:
        """Return what is minimised."""
        return self.classes + self.texts + self.triplet


class GroupTask(nn.Module):
    """Targets of one group: its own classifier, and its frozen text features."""

    def __init__(self, group: PlaceGroup, dimension: int, texts: Tensor | None) -> None:
        super().__init__()
        self.group = group
        self.classifier = CosFace(dimension, len(group))
        self.register_buffer("texts", texts, persistent=False)

    def losses(self, descriptors: Tensor, labels: Tensor, *, triplet: bool) -> Losses:
        """Return the losses of descriptors [n, D] with labels [n]."""
        nothing = descriptors.new_zeros(())
        texts = self.texts
        return Losses(
            F.cross_entropy(self.classifier(descriptors, labels), labels),
            image_to_text(descriptors, texts, labels) if isinstance(texts, Tensor) else nothing,
            len(labels) * soft_triplet(descriptors, labels) if triplet else nothing,
        )


class EncoderTraining:
    """Training of the network, one epoch at a time, each epoch on one group.

    network: normalised images [n, 3, s, s] → descriptors [n, D].
    """

    def __init__(
        self,
        network: nn.Module,
        tasks: Sequence[GroupTask],
        images: ImageList,
        settings: TrainingSettings,
        where: Processes,
    ) -> None:
        self.network = network.to(where.device)
        self.tasks = [task.to(where.device) for task in tasks]
        self.epochs_done = 0
        self.best_recall1 = -1.0
        self._images = images
        self._settings = settings
        self._where = where
        self._parallel = where.parallel(self.network)
        self._precision = Precision(settings.run, where.device)
        self._optimizer = torch.optim.Adam(_trained(network).values(), settings.stage2.lr)
        self._classifier_optimizers = [
            torch.optim.Adam(task.classifier.parameters(), settings.stage2.classifiers_lr)
            for task in self.tasks
        ]
        name = settings.stage2.augmentation_device
        augmentation_device = where.device if name == AUTO else choose_device(name)
        self._augment = Augmentation(settings.stage2, augmentation_device)

    def run_epoch(self, journal: Journal) -> dict[str, float]:
        """Train `iterations_per_epoch` steps on the next group; return the mean losses."""
        number = self.epochs_done % len(self.tasks)
        task, optimizers = (
            self.tasks[number],
            [self._optimizer, self._classifier_optimizers[number]],
        )
        stage2 = self._settings.stage2
        self._parallel.train()
        if self._settings.network.freeze_batch_norm:
            keep_statistics(self.network)
        running = RunningLoss()
        images = stage2.iterations_per_epoch * stage2.batch_size
        with journal.bar(f"stage 2, epoch {self.epochs_done}", images) as bar:
            for batch in self._batches(task.group):
                losses = self._losses(task, batch)
                self._precision.step(losses.total, optimizers)
                total = running.add(torch.stack([losses.total, *losses]))
                bar.advance(stage2.batch_size, total, stage2.lr)
                journal.skip(batch.skipped)
        self.epochs_done += 1
        names = ("loss", "loss_classes", "loss_texts", "loss_triplet")
        return dict(zip(names, running.means(), strict=True))

    def _losses(self, task: GroupTask, batch: Batch) -> Losses:
        images = normalize(self._augment.jitter(batch.images, batch.seeds).to(self._where.device))
        with self._precision.forward():
            own = self._parallel(images)
        descriptors = self._where.join(own.float())
        labels = self._where.join(batch.labels.to(self._where.device))
        return task.losses(descriptors, labels, triplet=self._settings.stage2.soft_triplet)

    def _batches(self, group: PlaceGroup) -> Iterator[Batch]:
        stage2, run = self._settings.stage2, self._settings.run
        sampler = ClassSampler(
            len(group),
            stage2.batch_size,
            stage2.iterations_per_epoch,
            (run.seed, _STAGE, self.epochs_done),
            self._where.share(stage2.batch_size),
        )
        dataset = GroupImages(self._images, group, self._augment.crop)
        return load_batches(dataset, sampler, run.num_workers)

    def state(self, history: list[dict[str, float]]) -> dict[str, Any]:
        """Return what an exact resume needs, under the names of the authors' last_checkpoint.pth.

        Nothing random is in it: every draw is a function of the seed and the epoch.
        """
        return {
            "epoch_num": self.epochs_done,
            "model_state_dict": self.network.state_dict(),
            "optimizer_state_dict": self._optimizer.state_dict(),
            "classifiers_state_dict": [task.classifier.state_dict() for task in self.tasks],
            "optimizers_state_dict": [
                optimizer.state_dict() for optimizer in self._classifier_optimizers
            ],
            "best_val_recall1": self.best_recall1,
            "class_ids": [torch.from_numpy(task.group.class_id) for task in self.tasks],
            "precision": self._precision.state(),
            "history": history,
        }

    def load(self, path: Path) -> list[dict[str, float]]:
        """Load a last_checkpoint.pth, ours or the authors'; return its history.

        The authors' file has its recall in percent, and does not say which class each row of its
        classifiers belongs to, so these start from scratch. Raises `DataError` for a file of
        another backbone, of other trained layers, or of other classes.
        """
        content = load_checkpoint(path)
        if not isinstance(content, dict) or "model_state_dict" not in content:
            raise DataError(f"{path}: not a last_checkpoint.pth of stage 2")
        with content_of(path, "a last_checkpoint.pth of stage 2"):
            return self._load(content, path)

    def _load(self, content: dict[str, Any], path: Path) -> list[dict[str, float]]:
        weights = content["model_state_dict"]
        load_weights(self.network, weights, path)
        buffers = {name for name, _ in self.network.named_buffers()}
        saved_names = [name for name in weights if name not in buffers]
        trained, saved = _trained(self.network), content["optimizer_state_dict"]
        restore_optimizer(self._optimizer, trained, saved, saved_names, path)
        self.epochs_done = int(content["epoch_num"])
        self.best_recall1 = float(content["best_val_recall1"])
        history = content.get("history", [])
        if self.epochs_done < 0 or not math.isfinite(self.best_recall1):
            raise ValueError(f"{self.epochs_done} epochs, R@1 {self.best_recall1}")
        if not all(isinstance(figures, dict) for figures in history):
            raise TypeError("its history is no list of figures")
        if "class_ids" in content:
            self._load_classifiers(content, path)
        else:
            self.best_recall1 /= 100.0
            if self._where.is_main:
                _log.warning("%s does not name its classes: its classifiers are not used", path)
        return list(history)

    def _load_classifiers(self, content: dict[str, Any], path: Path) -> None:
        # Groups are found by their classes, whatever their order was.
        numbers = [_find(task.group.class_id, content["class_ids"]) for task in self.tasks]
        if len(numbers) != len(content["class_ids"]) or None in numbers:
            raise DataError(
                f"{path}: of other classes; resume with the same images and the same --M, --alpha,"
                " --N, --L, --groups_num and --min_images_per_class"
            )
        for task, optimizer, number in zip(
            self.tasks, self._classifier_optimizers, numbers, strict=True
        ):
            task.classifier.load_state_dict(content["classifiers_state_dict"][number])
            restore_averages(optimizer, content["optimizers_state_dict"][number]["state"])
        self._precision.restore(content["precision"])


def train_encoder(
    training: EncoderTraining,
    validate: Callable[[Journal], Recall] | None,
    settings: TrainingSettings,
    journal: Journal,
) -> Path:
    """Train the epochs that remain and return the file of the best weights.

    After every epoch the state is in `last_checkpoint.pth`; the weights of the epoch with the best
    validation R@1 (without validation: the last) are in `best_model.pth`.
    """
    while training.epochs_done < settings.stage2.epochs_num:
        figures = training.run_epoch(journal)
        recall = validate(journal) if validate else None
        if recall:
            figures |= {f"recall_{count}": share for count, share in recall.at.items()}
        journal.record(training.epochs_done - 1, **figures)
        _save_epoch(training, recall, settings, journal)
    return journal.folder / BEST_MODEL


def adopt_best(resumed_from: Path, folder: Path) -> None:
    """Copy the best weights beside a checkpoint, so that they stay best until they are beaten."""
    best = resumed_from.with_name(BEST_MODEL)
    if best.is_file():
        save_checkpoint(load_checkpoint(best), folder / BEST_MODEL)


def _find(class_id: FloatArray, saved: Sequence[Tensor]) -> int | None:
    """Return which of the saved groups has these classes."""
    own = torch.from_numpy(class_id)
    return next((number for number, one in enumerate(saved) if torch.equal(own, one)), None)


def _trained(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable parameters by name, in the order of the network."""
    named = network.named_parameters()
    return {name: parameter for name, parameter in named if parameter.requires_grad}


def _save_epoch(
    training: EncoderTraining, recall: Recall | None, settings: TrainingSettings, journal: Journal
) -> None:
    """Write the weights if they are the best so far, then the checkpoint that says so."""
    is_best = recall is None or recall.at[1] > training.best_recall1
    if recall and is_best:
        training.best_recall1 = recall.at[1]

    def save() -> None:
        if is_best:
            save_checkpoint(training.network.state_dict(), journal.folder / BEST_MODEL)
        state = training.state(journal.history)
        save_checkpoint(state, journal.folder / LAST_CHECKPOINT)
        if training.epochs_done % settings.stage2.checkpoint_period_stage2 == 0:
            numbered = f"checkpoint_{training.epochs_done}.pth"
            save_checkpoint(state, journal.folder / numbered)

    journal.where.from_main(save)


def load_weights(network: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Load a state_dict that came from `path`; `DataError` names a part that does not fit."""
    own = network.state_dict()
    missing = sorted(own.keys() - weights.keys())
    shapes = [key for key in own.keys() & weights.keys() if own[key].shape != weights[key].shape]
    if missing or shapes:
        first = min(shapes) if shapes else missing[0]
        raise DataError(
            f"{path}: does not fit the network, for example '{first}': the checkpoint is of another"
            " backbone; give its --backbone and --fc_output_dim"
        )
    network.load_state_dict({key: weights[key] for key in own})
