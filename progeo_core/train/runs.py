"""Whole runs: stage 1, stage 2 and evaluation, from settings to the files that they leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from progeo_core.dataset.place_classes import PlaceGroup
from progeo_core.errors import UsageError
from progeo_core.model.prompt_form import PAPERS_FORM, PromptForm
from progeo_core.model.weights import sha256_of
from progeo_core.train.benchmark import Benchmark, Recall, find_benchmarks
from progeo_core.train.checkpoint import load_checkpoint
from progeo_core.train.descriptors import Describer, cached_descriptors
from progeo_core.train.epoch_examples import keep_examples
from progeo_core.train.evaluation import Protocol, measure, measure_once, write_recalls
from progeo_core.train.gradient_checkpointing import recompute_blocks
from progeo_core.train.journal import Journal
from progeo_core.train.precision import Precision
from progeo_core.train.prediction_pictures import save_predictions
from progeo_core.train.prediction_table import write_predictions
from progeo_core.train.processes import Processes
from progeo_core.train.prompt_words import write_words
from progeo_core.train.prompts_file import GroupPrompts, load_prompts
from progeo_core.train.query_views import check_test_method, query_describer
from progeo_core.train.run_folder import LOGS, SCRATCH, create_run_folder
from progeo_core.train.set_folders import find_training_folder
from progeo_core.train.settings import HARD_RESIZE, WORDS_FILE, TrainingSettings
from progeo_core.train.stage1 import (
    ClassTexts,
    GroupFeatures,
    PromptTraining,
    resume_prompts,
    train_prompts,
)
from progeo_core.train.stage2 import (
    EncoderTraining,
    GroupTask,
    adopt_best,
    load_weights,
    train_encoder,
)
from progeo_core.train.towers import Towers, descriptor_describer, feature_describer
from progeo_core.train.training_set import TrainingSet, read_training_set

# Texts encoded at once when stage 2 begins.
_TEXT_BATCH = 256


def check_folders(settings: TrainingSettings, stages: Sequence[str]) -> None:
    """Raise what any stage would find wrong with the folders of images, before the work begins."""
    if set(stages) & {"stage1", "stage2"}:
        _train_folder(settings)
    if "stage2" in stages and settings.data.val_set_folder:
        _benchmarks(settings, "val")
    if ("stage2" in stages and settings.data.test_set_folder) or "evaluation" in stages:
        _benchmarks(settings, "test")


def run_stage1(
    settings: TrainingSettings, towers: Towers, where: Processes, logs: Path = LOGS
) -> Path:
    """Learn the prompts and return their file."""
    training_set = _training_set(settings, where)
    torch.manual_seed(settings.run.seed)
    folder = where.from_main(lambda: create_run_folder(settings, "stage1", logs))
    towers.network.to(where.device)
    stage1, trainings = settings.stage1, []
    with Journal(folder, where) as journal:
        for group in training_set.groups:
            vectors = towers.initial_prompts(len(group), stage1.n_ctx, stage1.ctx_init)
            data = _group_features(settings, towers, training_set, group, journal)
            texts = ClassTexts(vectors, stage1.prompt_form, towers.text_features)
            trainings.append(PromptTraining(data, texts, settings, where))
    if stage1.resume_train_stage1:
        resume_prompts(trainings, Path(stage1.resume_train_stage1))
    prompts = train_prompts(trainings, settings, folder, where)
    state = towers.network.state_dict()
    where.from_main(lambda: write_words(prompts, state, folder / WORDS_FILE))
    return prompts


def run_stage2(
    settings: TrainingSettings, towers: Towers, where: Processes, logs: Path = LOGS
) -> Path:
    """Train the network, test the best weights, and return their file."""
    check_test_method(settings, towers)
    training_set = _training_set(settings, where)
    folder = where.from_main(lambda: create_run_folder(settings, "stage2", logs))
    tasks = _tasks(settings, towers, training_set, where)
    if settings.run.gradient_checkpointing:
        recompute_blocks(towers.network)
    training = EncoderTraining(towers.network, tasks, training_set.images, settings, where)
    history = []
    if settings.stage2.resume_train:
        old = Path(settings.stage2.resume_train)
        history = training.load(old)
        where.from_main(lambda: adopt_best(old, folder))
    with Journal(folder, where, history) as journal:
        best = train_encoder(training, _validation(settings, towers), settings, journal)
    if settings.data.test_set_folder:
        load_weights(towers.network, load_checkpoint(best), best)
        run_evaluation(settings, whole_image_describer(settings, towers, where), where, folder)
    return best


def whole_image_describer(
    settings: TrainingSettings, towers: Towers, where: Processes
) -> Describer:
    """Return the describer of evaluation, by the weights that the network has now."""
    check_test_method(settings, towers)
    towers.network.to(where.device)
    return _describer(settings, towers, where, sha256_of(towers.network.state_dict()))


def run_evaluation(
    settings: TrainingSettings, describer: Describer, where: Processes, folder: Path
) -> tuple[Recall, ...]:
    """Measure recall on every set of queries of the test folder; print and write the figures."""
    benchmarks = _benchmarks(settings, "test")
    cache, recalls = Path(settings.stage1.cache_feature_folder), []
    with Journal(folder, where) as journal:
        for benchmark in benchmarks:
            recalls.append(_test(settings, describer, benchmark, cache, journal))
    if where.is_main:
        for recall in recalls:
            print(recall)
        write_recalls(recalls, Path(settings.evaluation.json_output or folder / "recall.json"))
    return tuple(recalls)


def _train_folder(settings: TrainingSettings) -> Path:
    if not settings.data.train_set_folder:
        raise UsageError("no training images: give --train_set_folder")
    return find_training_folder(settings.data.train_set_folder)


def _benchmarks(settings: TrainingSettings, split: str) -> tuple[Benchmark, ...]:
    data = settings.data
    folder = {"val": data.val_set_folder, "test": data.test_set_folder}[split]
    if not folder:
        raise UsageError(f"no {split} set: give --{split}_set_folder with database/ and queries*/")
    return find_benchmarks(folder, split, data.database_folder, data.queries_folder)


def _training_set(settings: TrainingSettings, where: Processes) -> TrainingSet:
    training_set = read_training_set(_train_folder(settings), settings.places)
    if where.is_main:
        print(training_set)
    return training_set


def _group_features(
    settings: TrainingSettings,
    towers: Towers,
    training_set: TrainingSet,
    group: PlaceGroup,
    journal: Journal,
) -> GroupFeatures:
    """Compute the frozen features of a group, or find them in the cache."""
    where = journal.where
    precision = Precision(settings.run, where.device)
    describer = feature_describer(
        towers, precision, settings.evaluation.infer_batch_size, where.device
    )
    images = [training_set.images[int(row)] for row in group.images]
    cache = Path(settings.stage1.cache_feature_folder)
    with journal.bar(f"features of group {group.group_id}", len(images)) as bar:
        described = cached_descriptors(describer, images, cache, where, bar.advance)
    journal.skip(described.skipped)
    return GroupFeatures(group, described.rows)


def _tasks(
    settings: TrainingSettings, towers: Towers, training_set: TrainingSet, where: Processes
) -> list[GroupTask]:
    groups = training_set.groups
    texts: Sequence[Tensor | None] = [None] * len(groups)
    if not settings.stage2.without_prompts:
        if not settings.stage2.prompt_learners:
            raise UsageError("no prompts: give --prompt_learners of stage 1, or --without_prompts")
        towers.network.to(where.device)
        width = towers.initial_prompts(1, 1).shape[-1]
        path = Path(settings.stage2.prompt_learners)
        prompts = load_prompts(path, groups, width)
        _check_form(path, prompts, settings.stage1.prompt_form)
        texts = [_text_features(towers, group, where) for group in prompts]
    # Every process draws the same initial classifiers.
    torch.manual_seed(settings.run.seed)
    return [
        GroupTask(group, towers.dimension, text) for group, text in zip(groups, texts, strict=True)
    ]


def _check_form(path: Path, prompts: Sequence[GroupPrompts], asked: PromptForm) -> None:
    """Raise `UsageError` where another form was asked for than the file's, which is taken."""
    for form in {group.form for group in prompts}:
        if asked not in (form, PAPERS_FORM):
            raise UsageError(
                f"{path}: its prompts are '{form}', not '{asked}' ({asked.flags}); leave these"
                " flags out, or run stage 1 with them"
            )


@torch.no_grad()
def _text_features(towers: Towers, group: GroupPrompts, where: Processes) -> Tensor:
    parts = torch.split(group.prompts.to(where.device), _TEXT_BATCH)
    return torch.cat([towers.text_features(part, group.form) for part in parts])


def _validation(settings: TrainingSettings, towers: Towers) -> Callable[[Journal], Recall] | None:
    """Return what measures the first set of queries of the validation folder, if there is one."""
    if not settings.data.val_set_folder:
        return None
    benchmark = _benchmarks(settings, "val")[0]
    radius = settings.evaluation.positive_dist_threshold

    def validate(journal: Journal) -> Recall:
        describer = _describer(settings, towers, journal.where, "validation")
        scratch = journal.folder / SCRATCH
        measured = measure_once(describer, benchmark, radius, scratch, journal)
        keep_examples(benchmark, measured, radius, journal)
        return measured.recall

    return validate


def _test(
    settings: TrainingSettings,
    describer: Describer,
    benchmark: Benchmark,
    cache: Path,
    journal: Journal,
) -> Recall:
    chosen = settings.evaluation
    radius = chosen.positive_dist_threshold
    protocol = Protocol(radius, chosen.recall_values, chosen.pca_dim, chosen.test_method)
    of_queries = query_describer(settings, describer)
    measured = measure(describer, benchmark, protocol, cache, journal, of_queries)
    if journal.where.is_main:
        folder = journal.folder / "predictions" / benchmark.name
        write_predictions(benchmark, measured, radius, folder / "predictions.csv")
        if chosen.num_preds_to_save:
            save_predictions(
                benchmark,
                measured.predictions,
                radius,
                folder,
                count=chosen.num_preds_to_save,
                only_wrong=chosen.save_only_wrong_preds,
            )
    return measured.recall


def _describer(
    settings: TrainingSettings, towers: Towers, where: Processes, identity: str
) -> Describer:
    evaluation = settings.evaluation
    fits_queries = evaluation.test_method != HARD_RESIZE
    squash = towers.fixed_size or evaluation.resize_test_imgs or fits_queries
    square = settings.stage2.image_size if squash else None
    return descriptor_describer(towers, where.device, evaluation.infer_batch_size, square, identity)
