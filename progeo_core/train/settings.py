"""Settings of both training stages: the authors' flags under the authors' names, and ours.

The command lines of `training/` are generated from these fields.
"""

from __future__ import annotations

import dataclasses

from progeo_core.dataset.place_classes import PlaceClassSettings
from progeo_core.errors import UsageError
from progeo_core.model.prompt_form import END, FRONT, MAX_VECTORS, MIDDLE, PAPERS_FORM, PromptForm
from progeo_core.settings import Settings, setting

# In the folder of a run: pictures and file of predictions by epoch, and the words of its prompts.
EXAMPLES, EPOCHS_FILE = "examples", "epochs.json"
WORDS_FILE = "prompt_words.json"
# How queries of the test fit the size of the database; see `query_views`.
HARD_RESIZE, SINGLE_QUERY = "hard_resize", "single_query"
CENTRAL_CROP, FIVE_CROPS = "central_crop", "five_crops"
RANKED_CROPS = NEAREST_CROP, MAJ_VOTING = "nearest_crop", "maj_voting"


@dataclasses.dataclass(frozen=True)
class DataSettings(Settings):
    """Folders of images for training, validation and test."""

    train_set_folder: str = setting("", "folder of training images with '@' names, or a set")
    val_set_folder: str = setting("", "folder with database/ and queries/ for validation, or a set")
    test_set_folder: str = setting("", "folder with database/ and queries*/ for the test, or a set")
    database_folder: str = setting("database", "name of the database folder in these two")
    queries_folder: str = setting("", "name of the queries folder; empty: every usual queries*/")


@dataclasses.dataclass(frozen=True)
class NetworkSettings(Settings):
    """Network to train, the origin of its weights, and which layers are trained."""

    backbone: str = setting("CLIP-RN50", "CLIP-RN50, -RN101, -ViT-B-16, -ViT-B-32 or open_clip's")
    pretrained: str = setting("openai", "open_clip tag, local file, or 'none' for random weights")
    fc_output_dim: int = setting(1024, "descriptor length; must be the text's embedding length")
    train_all_layers: bool = setting(False, "train every visual layer")
    freeze_cnn: int = setting(
        2,
        "stages of a ResNet or a MobileNet that stay frozen, from the input on",
        low=0,
    )
    freeze_batch_norm: bool = setting(
        False, "keep BatchNorm's initial statistics, for small data sets of similar images"
    )
    freeze_trans: int = setting(6, "transformer blocks that stay frozen", low=0)
    resume_model: str = setting("", "best_model.pth to start from or to evaluate")


@dataclasses.dataclass(frozen=True)
class Stage1Settings(Settings):
    """Stage 1: one learned prompt per place class."""

    n_ctx: int = setting(PAPERS_FORM.n_ctx, "learned vectors per class", low=1, high=MAX_VECTORS)
    ctx_init: str = setting("", "words that the vectors start from; empty: random ones")
    class_token_position: str = setting(
        END, "where the word 'street' stands among the vectors", choices=(END, MIDDLE, FRONT)
    )
    batch_size_stage1: int = setting(512, "image features per step", low=1)
    epochs_num_stage1: int = setting(480, "epochs over all groups in turn", low=1)
    lr_stage1: float = setting(0.01, "learning rate of the prompts", low=0)
    checkpoint_period_stage1: int = setting(80, "epochs between numbered prompt files", low=1)
    cache_feature_folder: str = setting("cache", "where frozen image features are kept")
    resume_model_stage1: str = setting("", "best_model.pth whose weights stage 1 uses")
    resume_train_stage1: str = setting("", "run folder of a stage 1 to resume")

    @property
    def prompt_form(self) -> PromptForm:
        """Return the form of the prompts."""
        return PromptForm(self.n_ctx, self.class_token_position)


@dataclasses.dataclass(frozen=True)
class Stage2Settings(Settings):
    """Stage 2: training of the image encoder."""

    prompt_learners: str = setting("", "last_prompt_learners.pth of stage 1")
    without_prompts: bool = setting(False, "leave the text loss out (CosPlace, for ablations)")
    soft_triplet: bool = setting(False, "add the soft-margin triplet loss")
    batch_size: int = setting(32, "classes, one image each, per step (all processes)", low=1)
    epochs_num: int = setting(64, "epochs", low=1)
    iterations_per_epoch: int = setting(10_000, "steps per epoch", low=1)
    lr: float = setting(1e-5, "learning rate of the network", low=0)
    classifiers_lr: float = setting(0.01, "learning rate of the classifiers", low=0)
    image_size: int = setting(512, "side of the square training crops in pixels", low=32)
    checkpoint_period_stage2: int = setting(8, "epochs between numbered checkpoints", low=1)
    resume_train: str = setting("", "last_checkpoint.pth to resume")
    augmentation_device: str = setting("auto", "where images are augmented: auto, cpu, cuda")
    brightness: float = setting(0.7, "colour jitter: brightness", low=0)
    contrast: float = setting(0.7, "colour jitter: contrast", low=0)
    saturation: float = setting(0.7, "colour jitter: saturation", low=0)
    hue: float = setting(0.5, "colour jitter: hue", low=0, high=0.5)
    random_resized_crop: float = setting(0.5, "crops keep 1 - this share or more", low=0, high=0.99)


@dataclasses.dataclass(frozen=True)
class EvaluationSettings(Settings):
    """Validation and test."""

    infer_batch_size: int = setting(64, "images of one size described at once", low=1)
    positive_dist_threshold: float = setting(25.0, "metres within which a match is right", low=0)
    resize_test_imgs: bool = setting(False, "squash test images to image_size squares (authors')")
    test_method: str = setting(
        HARD_RESIZE,
        "queries of the test, as the VG benchmark names it: like the database, or, with a squashed"
        " database and image_size as their shorter side, whole, the square in the middle, or"
        " five squares: their mean, the nearest match of each, or their votes",
        choices=(HARD_RESIZE, SINGLE_QUERY, CENTRAL_CROP, FIVE_CROPS, *RANKED_CROPS),
    )
    recall_values: tuple[int, ...] = setting((1, 5, 10, 20), "N of every Recall@N of the test")
    pca_dim: int = setting(
        0, "shorten descriptors to so many principal components of the database; 0: keep all", low=0
    )
    num_preds_to_save: int = setting(0, "predictions per query to draw", low=0)
    save_only_wrong_preds: bool = setting(False, "draw only queries whose best match is wrong")
    model: str = setting("", "evaluate this instead: any model that progeo's --model takes")
    trust_code: bool = setting(False, "let a --model of others run its code")
    json_output: str = setting("", "also write the recalls to this JSON file")

    def __post_init__(self) -> None:
        """Raise `UsageError` also for numbers of neighbours below 1 or in another order."""
        super().__post_init__()
        values = self.recall_values
        if not values or values[0] < 1 or list(values) != sorted(set(values)):
            raise UsageError(f"recall_values = {values}: must be different, from 1 on, and ascend")
        if self.model and self.test_method != HARD_RESIZE:
            raise UsageError(
                f"--test_method {self.test_method}: --model {self.model} sees images as it was made"
                " to; leave one of them out"
            )


@dataclasses.dataclass(frozen=True)
class RunSettings(Settings):
    """Device, processes, seed and precision of a run."""

    save_dir: str = setting("default", "results go to logs/SAVE_DIR/STAGE/TIMESTAMP")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    seed: int = setting(0, "seed of everything random; -1 draws one", low=-1)
    num_workers: int = setting(8, "loader processes per training process", low=0)
    use_amp16: bool = setting(False, "mixed precision")
    amp_dtype: str = setting("float16", "of mixed precision", choices=("float16", "bfloat16"))
    gradient_checkpointing: bool = setting(False, "recompute activations to save memory")


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """All settings of a training or evaluation run."""

    data: DataSettings = dataclasses.field(default_factory=DataSettings)
    places: PlaceClassSettings = dataclasses.field(default_factory=PlaceClassSettings)
    network: NetworkSettings = dataclasses.field(default_factory=NetworkSettings)
    stage1: Stage1Settings = dataclasses.field(default_factory=Stage1Settings)
    stage2: Stage2Settings = dataclasses.field(default_factory=Stage2Settings)
    evaluation: EvaluationSettings = dataclasses.field(default_factory=EvaluationSettings)
    run: RunSettings = dataclasses.field(default_factory=RunSettings)
