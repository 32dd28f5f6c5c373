"""Presets: published place recognition models by a short name, each one entry of this table.

Sizes, interpolation and outputs are those of the authors' repositories and of
gmberton/VPR-methods-evaluation, which runs them all; statistics are ImageNet's. Every repository is
pinned to the commit whose entry was read for this table.
"""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """Published model: its address (see `parse_model_address`), descriptor length, and licence."""

    address: str
    dimension: int
    licence: str


PRESETS = {
    # DINOv2 ViT-B/14 with an optimal-transport head; trained at 224 px, tested at 322 px.
    "megaloc": Preset(
        "hub:gmberton/MegaLoc@3f6e01cbc7fe16117aeec837d318c84a54126750:get_trained_model"
        "?size=322&interpolation=bilinear",
        8448,
        "see its repository; much of its head is SALAD's, GPL-3.0",
    ),
    # Its network returns the descriptor and attention maps.
    "boq-dinov2": Preset(
        "hub:amaralibey/Bag-of-Queries@1a17a4d89506440e974c745baa584b47b40d6072:get_trained_boq"
        "?backbone_name=dinov2&output_dim=12288&size=322&interpolation=bicubic",
        12288,
        "MIT",
    ),
    "salad": Preset(
        "hub:serizba/salad@07d713f542641faeecae14e305f19a79466f4211:dinov2_salad"
        "?size=322&interpolation=bilinear",
        8448,
        "GPL-3.0: what is built on it and passed on has to be under it, too",
    ),
    "eigenplaces": Preset(
        "hub:gmberton/EigenPlaces@92d54ea9b66b4a1e43f12230f7daa35b0d5b6a27:get_trained_model"
        "?backbone=ResNet50&fc_output_dim=2048&size=512",
        2048,
        "MIT",
    ),
    "cosplace": Preset(
        "hub:gmberton/CosPlace@5b974d3ad206d10955201bc222af785e167be34a:get_trained_model"
        "?backbone=ResNet50&fc_output_dim=2048&size=512",
        2048,
        "see its repository",
    ),
    # The authors' own repository has no entry; this copy of it has. Its code imports
    # pytorch-lightning, pytorch-metric-learning and prettytable.
    "mixvpr": Preset(
        "hub:jarvisyjw/MixVPR@19920d06ecccf3d269a6287957a26a28e1187e87:get_trained_model"
        "?size=320&interpolation=bicubic",
        4096,
        "see amaralibey/MixVPR, whose copy it is; neither states one",
    ),
}
