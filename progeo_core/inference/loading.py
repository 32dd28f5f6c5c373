"""The entry to encoders: load a model by name, and choose what runs it.

torch is imported when a model is loaded. So a command says at once that a map is missing.
"""

from __future__ import annotations

from progeo_core.descriptors.encoder import Encoder
from progeo_core.inference.device import AUTO, choose_device
from progeo_core.model.built_in import DEFAULT_MODEL


def load_encoder(model: str = DEFAULT_MODEL, device: str = AUTO, runtime: str = AUTO) -> Encoder:
    """Load a model that ships, a model folder, or a backbone as "NAME[:PRETRAINED]".

    See `load_named_model` for names, `choose_device` for devices and `choose_encoder` for runtimes;
    all say what they raise. Random weights run in torch unless a runtime is named, as nothing about
    them is worth remembering.
    """
    from progeo_core.inference.runtime_choice import choose_encoder
    from progeo_core.inference.torch_encoder import TorchEncoder
    from progeo_core.model.backbone import NO_WEIGHTS
    from progeo_core.model.named_model import load_named_model

    chosen = choose_device(device)
    loaded = load_named_model(model)
    if runtime == AUTO and model.endswith(f":{NO_WEIGHTS}"):
        return TorchEncoder(loaded, chosen)
    network = choose_encoder(loaded.network_alone, chosen, runtime)
    if loaded.head is None:
        return network
    from progeo_core.inference.feature_extractor import shared_extractor
    from progeo_core.inference.joined_encoder import JoinedEncoder

    extractor = shared_extractor(device, runtime)
    return JoinedEncoder(loaded.card, network, extractor, loaded.head)
