"""The entry to encoders: load a model by name, and choose what runs it.

torch is imported when a network runs in it, or has to be tried or exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from progeo_core.descriptors.encoder import Encoder
from progeo_core.errors import UsageError
from progeo_core.inference.device import AUTO, Device, choose_device, find_device
from progeo_core.model.built_in import DEFAULT_MODEL

if TYPE_CHECKING:
    from progeo_core.model.model_address import ModelAddress
    from progeo_core.model.model_folder import Model


def load_encoder(
    model: str = DEFAULT_MODEL,
    device: str = AUTO,
    runtime: str = AUTO,
    *,
    trust_code: bool = False,
) -> Encoder:
    """Load a model that ships, a model folder, a backbone with its weights, or an address.

    See `load_named_model` for names, `parse_model_address` for addresses, `choose_device` for
    devices and `choose_encoder` for runtimes; all say what they raise. Random weights run in torch
    unless a runtime is named, as nothing about them is worth remembering. trust_code: whether an
    address may run the code of others.
    """
    from progeo_core.inference.runtime_choice import choose_encoder
    from progeo_core.model.model_address import parse_model_address
    from progeo_core.model.stored_model import find_model_folder, read_card, read_local_head

    chosen = find_device(device)
    address = parse_model_address(model)
    if address is not None:
        return _of_address(model, address, chosen, runtime, trust_code)
    folder = find_model_folder(model)
    if folder is None:
        return _of_backbone(model, chosen, runtime)
    card = read_card(folder)
    head = read_local_head(folder, card)
    network = choose_encoder(card.network_alone, lambda: _network_alone(folder), chosen, runtime)
    if head is None:
        return network
    from progeo_core.inference.feature_extractor import shared_extractor
    from progeo_core.inference.joined_encoder import JoinedEncoder

    return JoinedEncoder(card, network, shared_extractor(device, runtime), head)


def _network_alone(folder: Path) -> Model:
    from progeo_core.model.model_folder import load_model

    return load_model(folder).network_alone


def _of_address(
    name: str, address: ModelAddress, device: Device, runtime: str, trust_code: bool
) -> Encoder:
    if address.runs_code:
        from progeo_core.inference.module_encoder import load_module_encoder
        from progeo_core.inference.runtime import TORCH

        if runtime not in (AUTO, TORCH):
            raise UsageError(f"{name}: runs in torch; leave --runtime out, or take {TORCH}")
        return load_module_encoder(name, address, choose_device(str(device)), trust_code=trust_code)
    from progeo_core.inference.onnx_file_encoder import load_onnx_encoder

    return load_onnx_encoder(name, address, device, runtime)


def _of_backbone(name: str, device: Device, runtime: str) -> Encoder:
    from progeo_core.inference.runtime_choice import choose_encoder
    from progeo_core.inference.torch_encoder import TorchEncoder
    from progeo_core.model.backbone import NO_WEIGHTS
    from progeo_core.model.named_model import load_named_model

    loaded = load_named_model(name)
    if runtime == AUTO and name.endswith(f":{NO_WEIGHTS}"):
        return TorchEncoder(loaded, choose_device(str(device)))
    return choose_encoder(loaded.card, lambda: loaded, device, runtime)
