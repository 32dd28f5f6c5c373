"""Pretrained CLIP weights: an open_clip tag, a local file, or none."""

from __future__ import annotations

import contextlib
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import open_clip
from huggingface_hub import constants

from progeo_core.errors import DataError, UsageError
from progeo_core.model.backbone import MOBILENET, PROGEO_BACKBONES
from progeo_core.model.clip_backbone import open_clip_name
from progeo_core.model.preprocessing import Preprocessing
from progeo_core.model.weights import State, is_of_openai, read_state, to_network_names

_DEFAULT_TAG = "openai"  # exists for ProGEO's four only
_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


def pretrained_tags(backbone: str) -> tuple[str, ...]:
    """List the weights that open_clip can download for a backbone."""
    if backbone == MOBILENET:
        return ()
    return tuple(open_clip.list_pretrained_tags_by_model(open_clip_name(backbone)))


def backbone_of_weights(backbone: str, pretrained: str) -> str:
    """Return the backbone with the activation that an open_clip tag or a file was trained with.

    OpenAI, MetaCLIP and DFN trained with QuickGELU; the plain name of open_clip builds GELU.
    Raises `DataError` for a file that is damaged.
    """
    quick = _with_quick_gelu(backbone)
    if quick is None:
        return backbone
    path = Path(pretrained).expanduser()
    if pretrained not in pretrained_tags(backbone) and path.is_file():
        return backbone_of_state(backbone, read_state(path), path)
    wants_quick = open_clip.get_pretrained_cfg(backbone, pretrained).get("quick_gelu", False)
    return quick if wants_quick else backbone


def backbone_of_state(backbone: str, state: State, path: Path) -> str:
    """Return the backbone with the activation that the weights in a file were trained with.

    OpenAI's own files can be recognised. Others do not say what they were trained with: the
    backbone is taken as it is called, and a warning names the other one.
    """
    quick = _with_quick_gelu(backbone)
    if quick is None:
        return backbone
    if is_of_openai(state):
        return quick
    _log.warning(
        "%s: does not say what activation its weights were trained with; %s takes GELU, and %s is"
        " for weights of OpenAI, MetaCLIP and DFN",
        path,
        backbone,
        quick,
    )
    return backbone


def default_pretrained(backbone: str) -> str:
    """Return the weights that a bare backbone name means, or raise `UsageError` with the choice."""
    if backbone in PROGEO_BACKBONES:
        return _DEFAULT_TAG
    tags = pretrained_tags(backbone)
    raise UsageError(
        f"{backbone}: say which weights, as {backbone}:TAG or {backbone}:FILE"
        + (f" (tags: {', '.join(tags)})" if tags else "")
    )


def pretrained_state(backbone: str, pretrained: str) -> State:
    """Return the weights of both towers under the authors' names.

    `pretrained` is one of `pretrained_tags` (downloaded once, kept in the user's cache) or a file.
    Raises `UsageError` for anything else and `DataError` when the download or the file fails.
    """
    tags = pretrained_tags(backbone)
    if pretrained in tags:
        return to_network_names(_downloaded(backbone, pretrained))
    path = Path(pretrained).expanduser()
    if not path.is_file():
        known = ", ".join(tags) or "none"
        raise UsageError(
            f"{backbone}: '{pretrained}' is neither a file nor one of its tags ({known})"
        )
    return to_network_names(read_state(path))


def default_preprocessing(backbone: str, pretrained: str, native_size: int) -> Preprocessing:
    """Return what a backbone without training of ours should see.

    ProGEO's four see 512 × 512 and ImageNet's statistics, as the authors'; another backbone sees
    its `native_size` and the statistics that its weights were trained with.
    """
    if backbone in PROGEO_BACKBONES or backbone == MOBILENET:
        return Preprocessing()
    trained = open_clip.get_pretrained_cfg(open_clip_name(backbone), pretrained)
    statistics = {key: tuple(trained[key]) for key in ("mean", "std") if key in trained}
    return Preprocessing(native_size, native_size, "bicubic", **statistics)


def _with_quick_gelu(backbone: str) -> str | None:
    """Return the name of the same backbone with QuickGELU, None where it has that or has none."""
    quick = f"{backbone}-quickgelu"
    return quick if backbone != MOBILENET and quick in open_clip.list_models() else None


def _downloaded(backbone: str, tag: str) -> State:
    name = open_clip_name(backbone)
    is_online = _can_connect(constants.ENDPOINT)
    try:
        with contextlib.nullcontext() if is_online else _from_cache_alone():
            path = open_clip.download_pretrained(open_clip.get_pretrained_cfg(name, tag))
        clip = open_clip.create_model(name, pretrained=path)
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0] if is_online else f"no way to {constants.ENDPOINT}"
        raise DataError(
            f"{backbone}:{tag}: the weights cannot be downloaded ({reason}); connect to the"
            f" internet once, or give a local file as {backbone}:FILE"
        ) from error
    state: State = clip.state_dict()
    return state


def _can_connect(address: str) -> bool:
    """Whether a web server answers; the hub's own client would try for half a minute."""
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return True  # an answer, if not a kind one
    except (OSError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _from_cache_alone() -> Iterator[None]:
    """Let the hub's client use what is on this machine while the block runs."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
