"""The entry to encoders: load a model by name, and choose what runs it.

torch is imported when a model is loaded. So a command says at once that a map is missing.
"""

from __future__ import annotations

from progeo_core.descriptors.encoder import Encoder
from progeo_core.inference.device import AUTO, choose_device
from progeo_core.model.built_in import DEFAULT_MODEL


def load_encoder(
    model: str = DEFAULT_MODEL,
    device: str = AUTO,
    runtime: str = AUTO,
    *,
    trust_code: bool = False,
) -> Encoder:
    """Load a model that ships, a model folder, a backbone as "NAME[:PRETRAINED]", or an address.

    See `load_named_model` for names, `parse_model_address` for addresses, `choose_device` for
    devices and `choose_encoder` for runtimes; all say what they raise. Random weights run in torch
    unless a runtime is named, as nothing about them is worth remembering. trust_code: whether an
    address may run the code of others.
    """
    from progeo_core.inference.module_encoder import load_module_encoder
    from progeo_core.inference.onnx_file_encoder import load_onnx_encoder
    from progeo_core.inference.runtime_choice import choose_encoder
    from progeo_core.inference.torch_encoder import TorchEncoder
    from progeo_core.model.backbone import NO_WEIGHTS
    from progeo_core.model.model_address import parse_model_address
    from progeo_core.model.named_model import load_named_model

    chosen = choose_device(device)
    address = parse_model_address(model)
    if address is not None and address.runs_code:
        return load_module_encoder(model, address, chosen, trust_code=trust_code)
    if address is not None:
        return load_onnx_encoder(model, address, chosen, runtime)
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
