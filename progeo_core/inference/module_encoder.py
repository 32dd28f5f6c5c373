"""Encoder of a network that the code of others makes: a factory, or an entry of torch.hub."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from numpy.typing import NDArray

from progeo_core.descriptors.encoder import Encoder
from progeo_core.descriptors.fingerprint import ModelFingerprint
from progeo_core.errors import DataError, UsageError
from progeo_core.images.codec import Image
from progeo_core.inference.foreign_output import (
    check_descriptors,
    check_repeated,
    describe_each,
    descriptor_of,
)
from progeo_core.inference.pixels import normalize_pixels, resize_on
from progeo_core.inference.runtime import REFERENCE
from progeo_core.inference.runtime_trial import trial_images
from progeo_core.model.model_address import DEFAULT_SIDE, HUB, ModelAddress
from progeo_core.model.weights import digest_of

_log = logging.getLogger(__name__)


def load_module_encoder(
    name: str, address: ModelAddress, device: torch.device, *, trust_code: bool
) -> Encoder:
    """Run the code at an address, and return the encoder of the network that it makes.

    A factory may return an encoder instead of a network. Raises `UsageError` without `trust_code`,
    and `DataError` where the code fails or makes something else.
    """
    if not trust_code:
        raise UsageError(
            f"{name}: runs the code of others with your rights, and needs --trust-code (the node's"
            " parameter trust_code) once you trust it"
        )
    _check_place(address)
    _log.warning("%s: runs code of %s", name, _said_of(address))
    try:
        # What entries print is not the output of a command.
        with contextlib.redirect_stdout(io.StringIO()):
            made = _entry(address)(**address.arguments)
    except (Exception, SystemExit) as error:  # whatever the code of others does
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, URLError) or "internet connection" in reason:
            reason += (
                f"; no folder {address.source} is here, and where there is no network,"
                " hub:FOLDER:ENTRY takes a copy in a folder"
                if address.form == HUB and not _is_folder(address)
                else "; its code looks for something on the network"
            )
        elif isinstance(error, ModuleNotFoundError) and error.name in _packages(address):
            reason += "; install it, or name its folder in the environment's PYTHONPATH"
        raise DataError(f"{name}: cannot be loaded ({type(error).__name__}: {reason})") from error
    if hasattr(made, "fingerprint") and hasattr(made, "encode"):
        if isinstance(made, torch.nn.Module):
            made = made.to(device)
        encoder: Encoder = made
        return encoder
    if not isinstance(made, torch.nn.Module):
        raise DataError(
            f"{name}: makes a {type(made).__name__}; a torch.nn.Module or an object with"
            " `fingerprint` and `encode` is needed"
        )
    return ModuleEncoder(name, address, made, device)


def _check_place(address: ModelAddress) -> None:
    """Raise `UsageError` for what is neither a folder nor a repository."""
    if address.form == HUB and not _is_folder(address) and address.source.count("/") != 1:
        raise UsageError(
            f"{address.source}: neither a folder that is here nor OWNER/REPO; write the model as"
            " hub:FOLDER:ENTRY or hub:OWNER/REPO[@REVISION]:ENTRY"
        )


def _is_folder(address: ModelAddress) -> bool:
    """Whether a folder is meant: it has no revisions, and what is pinned is a repository."""
    is_here = not address.revision and Path(address.source).expanduser().is_dir()
    return address.form == HUB and is_here


def _packages(address: ModelAddress) -> list[str]:
    """Return the module of a factory and the packages that it is in."""
    names = address.source.split(".") if address.form != HUB else []
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]


def _said_of(address: ModelAddress) -> str:
    """Return whose code it is that runs, in which revision and under which licence."""
    said = address.source
    if address.revision:
        said += f" at {address.revision[:12]}"
    elif address.form == HUB and not _is_folder(address):
        said += ", whose default branch may change (pin it, as OWNER/REPO@REVISION)"
    return f"{said}; licence: {address.licence}" if address.licence else said


class ModuleEncoder:
    """Encoder with a network from normalised RGB images [n, 3, h, w] to descriptors [n, D]."""

    def __init__(
        self, name: str, address: ModelAddress, network: torch.nn.Module, device: torch.device
    ) -> None:
        """Take the network over; `DataError` where it gives no descriptors."""
        self._name, self._device = name, device
        self.runs_in = str(REFERENCE)
        self._network = network.eval().requires_grad_(False).to(device)
        self._seen = address.preprocessing(DEFAULT_SIDE, DEFAULT_SIDE)
        probe = self._run(trial_images()[0])
        check_descriptors(name, probe)
        check_repeated(name, probe, self._run(trial_images()[0]))
        if address.dimension not in (0, probe.shape[1]):
            raise DataError(
                f"{name}: gives {probe.shape[1]} values, and not the {address.dimension} that it"
                " was published with; its repository has changed: give its address with a revision"
            )
        self._fingerprint = ModelFingerprint(
            architecture=f"{Path(address.source).name}:{address.entry}",
            dimension=probe.shape[1],
            preprocessing=str(self._seen),
            weights_sha256=digest_of(network.state_dict()),
            name=name,
        )

    @property
    def fingerprint(self) -> ModelFingerprint:
        """Identify the model by its entry and its weights."""
        return self._fingerprint

    def encode(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Describe RGB uint8 images [h, w, 3] of any sizes as float32 [n, D], in order.

        Raises `ImageError` for an array that is no such image.
        """
        return describe_each(self._name, images, self._fingerprint.dimension, self._run)

    @torch.inference_mode()
    def _run(self, image: Image) -> NDArray[np.float32]:
        resized = resize_on(self._device, image, self._seen)[None]
        try:
            output = self._network(normalize_pixels(resized, self._seen))
        except (Exception, SystemExit) as error:  # whatever the code of others does
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{self._name}: fails on images of {self._seen.width}x{self._seen.height} pixels"
                f" ({reason}); its address may say another size, as ?size=224"
            ) from error
        found = torch.as_tensor(descriptor_of(self._name, output))
        if found.is_complex():
            raise DataError(f"{self._name}: returns complex numbers, which are no descriptors")
        return np.asarray(found.float().cpu().numpy(), np.float32)


def _entry(address: ModelAddress) -> Any:
    """Return the function of an address."""
    if address.form != HUB:
        return getattr(importlib.import_module(address.source), address.entry)
    load: Any = torch.hub.load
    if _is_folder(address):
        folder = str(Path(address.source).expanduser())
        return functools.partial(load, folder, address.entry, source="local")
    repository = ":".join(filter(None, (address.source, address.revision)))
    # torch.hub's own question about trust has been answered. It knows no commits by their hash.
    by_revision = bool(address.revision)
    return functools.partial(
        load, repository, address.entry, trust_repo=True, skip_validation=by_revision
    )
