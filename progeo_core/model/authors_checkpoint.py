"""The authors' `best_model.pth`, turned into a model folder."""

from __future__ import annotations

from pathlib import Path

import torch

from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.model.architecture import Head
from progeo_core.model.assembly import architecture_of, assemble, image_size_of
from progeo_core.model.backbone import PROGEO_BACKBONES, FeatureKind, blank_backbone
from progeo_core.model.model_card import ModelCard
from progeo_core.model.model_folder import save_model
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.pretrained import backbone_of_state
from progeo_core.model.weights import (
    State,
    has_text,
    read_state,
    sha256_of,
    to_network_names,
    visual_part,
)


def import_checkpoint(
    checkpoint: Path,
    backbone: str,
    out_dir: Path,
    *,
    with_text: bool = False,
    normalized: bool = True,
    image_size: int | None = None,
) -> Path:
    """Turn a checkpoint of the authors' network into a model folder; return the folder.

    `normalized=False` keeps the authors' raw ViT output. `with_text` keeps CLIP's text side, which
    training needs and describing does not. `image_size` is the side of the square images that the
    model sees: 512 by default, for a ViT what it was trained for. Raises `DataError` for a file
    that is missing, damaged or of another kind, `ModelMismatchError` naming both backbones for one
    of another backbone, and `UsageError` for a size that a ViT does not take.
    """
    content = read_state(checkpoint)
    backbone, state = backbone_of_state(backbone, content, checkpoint), to_network_names(content)
    _check_backbone(state, backbone, checkpoint)
    if with_text and not has_text(state):
        raise DataError(f"{checkpoint}: has no text side: import it without")
    if not with_text:
        state = visual_part(state)
    architecture = architecture_of(state, backbone)
    assemble(architecture, state, str(checkpoint))  # refuses what would not load later
    size = _image_size(state, backbone, image_size)
    card = ModelCard(
        name=out_dir.resolve().name,
        architecture=architecture,
        preprocessing=Preprocessing(size, size),
        weights_sha256=sha256_of(state),
        normalized=normalized or architecture.head is not Head.TOKEN,
        source=f"checkpoint {checkpoint.name}",
    )
    return save_model(out_dir, card, state)


def recognise_backbone(state: State) -> str | None:
    """Name ProGEO's backbone that has exactly these weights, or None."""
    return next((name for name in PROGEO_BACKBONES if _fits(state, name)), None)


def _check_backbone(state: State, backbone: str, checkpoint: Path) -> None:
    if _fits(state, backbone):
        return
    if not visual_part(state):
        raise DataError(
            f"{checkpoint}: not a ProGEO or CLIP checkpoint: none of its weights is a backbone's"
        )
    found = recognise_backbone(state)
    what = f"is a {found} checkpoint" if found else "is a checkpoint of another backbone"
    fix = f": import it with backbone {found}" if found else ""
    raise ModelMismatchError(f"{checkpoint} {what}, not {backbone}{fix}")


def _image_size(state: State, backbone: str, asked: int | None) -> int:
    blank = blank_backbone(backbone)
    found = image_size_of(state, blank)
    if blank.kind is FeatureKind.TOKEN and asked not in (None, found):
        raise UsageError(
            f"image size {asked}: this {backbone} was trained for {found} pixels and takes no other"
        )
    return asked or found


def _fits(state: State, backbone: str) -> bool:
    own = blank_backbone(backbone).tower.state_dict()
    return _shapes(state) == _shapes({f"backbone.{name}": own[name] for name in own})


def _shapes(state: State) -> dict[str, torch.Size]:
    """Return the shapes of the backbone's weights, but for what depends on the image size."""
    return {
        name: tensor.shape
        for name, tensor in state.items()
        if name.startswith("backbone.") and not name.endswith(("positional_embedding", "pos_embed"))
    }
