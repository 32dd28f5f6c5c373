"""The ProGEO network with CLIP's text side, as training uses it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from progeo_core.errors import UsageError
from progeo_core.model.architecture import Architecture, Head
from progeo_core.model.backbone import (
    NO_WEIGHTS,
    FeatureKind,
    blank_backbone,
    resize_backbone,
)
from progeo_core.model.freezing import freeze_layers
from progeo_core.model.network import ProgeoNetwork, build_network
from progeo_core.model.pretrained import backbone_of_weights, pretrained_state
from progeo_core.model.prompt import PromptLearner, word_vectors
from progeo_core.model.prompt_form import PromptForm
from progeo_core.model.text_encoder import TextSide
from progeo_core.model.weights import (
    State,
    has_text,
    load_weights,
    read_state,
    sha256_of,
    to_network_names,
    visual_part,
)
from progeo_core.train.settings import TrainingSettings

STAGES = ("stage1", "stage2", "evaluation")


class ClipTowers:
    """Towers of one CLIP model (see the protocol `Towers`)."""

    def __init__(self, network: ProgeoNetwork, dimension: int, image_size: int) -> None:
        self.network: nn.Module = network
        self.dimension = dimension
        self.image_size = image_size
        self.fixed_size = network.aggregation is None
        self.identity = sha256_of(network.state_dict())
        self._network = network

    def image_features(self, images: Tensor) -> Tensor:
        """Return CLIP's own raw features [n, E] of normalised images."""
        return self._network.eval().clip_features(images)

    def initial_prompts(self, classes: int, n_ctx: int, words: str = "") -> Tensor:
        """Return prompt vectors [classes, n_ctx, width], normal with deviation 0.02.

        words: what the vectors of all classes start from instead. Raises `UsageError` where these
        have not n_ctx tokens.
        """
        if words:
            return word_vectors(self._text.token_embedding, words, n_ctx).repeat(classes, 1, 1)
        return self._learner(classes, PromptForm(n_ctx)).cls_ctx.detach().clone()

    def text_features(self, prompts: Tensor, form: PromptForm) -> Tensor:
        """Return raw text features [n, E] of prompt vectors [n, form.n_ctx, width]."""
        labels = torch.arange(len(prompts), device=prompts.device)
        embedded = functional_call(self._learner(1, form), {"cls_ctx": prompts}, (labels,))
        features: Tensor = self._text.encoder(embedded)
        return features

    @property
    def _text(self) -> TextSide:
        embedding, encoder = self._network.token_embedding, self._network.text_encoder
        if embedding is None or encoder is None:
            raise ValueError("the network was built without its text side")
        return TextSide(embedding, encoder)

    def _learner(self, classes: int, form: PromptForm) -> PromptLearner:
        embedding = self._text.token_embedding
        return PromptLearner(embedding, classes, form).to(embedding.weight.device)


def load_towers(settings: TrainingSettings, stage: str) -> ClipTowers:
    """Build the network for one of `STAGES`, with the weights that the settings name.

    Raises `UsageError` or `DataError` for unknown backbones and weights that do not fit.
    """
    chosen = settings.network
    torch.manual_seed(settings.run.seed)
    outline = blank_backbone(chosen.backbone)
    architecture = _architecture(settings, stage, outline.kind)
    resume = settings.stage1.resume_model_stage1 if stage == "stage1" else chosen.resume_model
    state = to_network_names(read_state(Path(resume))) if resume else {}
    complete = bool(state) and (has_text(state) or not architecture.with_text)
    is_pretrained = not complete and chosen.pretrained != NO_WEIGHTS
    if is_pretrained:
        _check_activation(chosen.backbone, chosen.pretrained)
    network = build_network(architecture)
    if is_pretrained:
        pretrained = pretrained_state(chosen.backbone, chosen.pretrained)
        _load(network, architecture, pretrained, chosen.pretrained)
    size = outline.image_size
    if stage != "stage1":
        size = settings.stage2.image_size
        resize_backbone(network.backbone, size, size)
    if state:
        _load(network, architecture, state, resume)
    if stage == "stage2":
        freeze_layers(
            network,
            freeze_cnn=chosen.freeze_cnn,
            freeze_trans=chosen.freeze_trans,
            train_all_layers=chosen.train_all_layers,
        )
    else:
        network.requires_grad_(False)
    return ClipTowers(network, architecture.dimension, size)


def _architecture(settings: TrainingSettings, stage: str, kind: FeatureKind) -> Architecture:
    prompts = stage == "stage1" or (stage == "stage2" and not settings.stage2.without_prompts)
    return Architecture(
        settings.network.backbone,
        Head.TOKEN if kind is FeatureKind.TOKEN else Head.GEM_LINEAR,
        settings.network.fc_output_dim,
        with_text=prompts,
    )


def _check_activation(backbone: str, pretrained: str) -> None:
    """Raise `UsageError` where the weights were trained with another activation.

    A checkpoint does not keep the activation: what it is imported as has to be said from the start.
    """
    wanted = backbone_of_weights(backbone, pretrained)
    if wanted != backbone:
        raise UsageError(
            f"{backbone}: the weights '{pretrained}' were trained with QuickGELU, which this"
            f" backbone does not have; give --backbone {wanted}"
        )


def _load(network: ProgeoNetwork, architecture: Architecture, state: State, source: str) -> None:
    """Load both towers, or the visual one; CLIP's own weights have no head for GeM pooling."""
    if not architecture.with_text:
        state = visual_part(state)
    load_weights(
        network, state, source, optional=("aggregation.", "token_embedding.", "text_encoder.")
    )
