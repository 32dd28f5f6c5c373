"""Real images of a corridor under '@' names, as training reads them."""

from __future__ import annotations

from pathlib import Path

from progeo_core.records.cosplace_names import ImageName, format_name

CORRIDOR = Path(__file__).parents[1] / "progeo_core" / "demo_data" / "corridor"
CELL_M = 10
IMAGES_PER_CELL_AND_PASS = 5


def make_dataset(root: Path) -> Path:
    """Make train/ (60 places seen twice: 12 classes) and val/ (20 others) in a folder."""
    for traverse, role in (("ref", "database"), ("query", "queries")):
        for number, image in enumerate(sorted((CORRIDOR / traverse).iterdir())[:80]):
            in_train = number < 60
            link_as_place(image, root / "train" if in_train else root / "val" / role, number)
    return root


def link_as_place(image: Path, folder: Path, number: int) -> None:
    """Link an image under the '@' name of the `number`-th place along a straight corridor."""
    fields = ImageName(
        east_m=500_000 + number * CELL_M / IMAGES_PER_CELL_AND_PASS,
        north_m=4_000_005.0,
        zone=32,
        letter="S",
        heading_deg=90,
        note=f"{image.parent.name}{image.stem}",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / format_name(fields)).symlink_to(image)
