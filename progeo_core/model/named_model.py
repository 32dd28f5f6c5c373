"""Models by name: those that ship, model folders, and backbones with their weights."""

from __future__ import annotations

from progeo_core.model.model_folder import Model, load_model
from progeo_core.model.stored_model import find_model_folder


def load_named_model(model: str, *, with_text: bool = False) -> Model:
    """Load a model that ships, a model folder, or a backbone: "NAME[:PRETRAINED]", "hf:FOLDER".

    PRETRAINED is an open_clip tag (downloaded once), a checkpoint file, or "none" for random
    weights; ProGEO's four backbones default to OpenAI's. FOLDER is of Hugging Face (see
    `read_hf_folder`). with_text: and CLIP's text side where the
    weights have one. Raises `UsageError` for a name that is none of these, and `DataError` where
    files are missing, damaged or cannot be downloaded.
    """
    folder = find_model_folder(model)
    if folder is not None:
        return load_model(folder, with_text=with_text)
    from progeo_core.model.named_backbone import load_backbone

    return load_backbone(model, with_text=with_text)
