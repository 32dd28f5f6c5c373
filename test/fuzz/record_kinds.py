"""Records: tables, '@' names and folders of images."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np

from progeo_core.bags.writer import write_bag
from progeo_core.dataset.plan import DatasetSettings, plan_dataset
from progeo_core.errors import ProgeoError
from progeo_core.records.cosplace_names import format_name, read_name, read_names
from progeo_core.records.image_list import list_images
from progeo_core.records.records import Heading, Records, read_image_folder, read_placed_records
from test.fuzz.image_kinds import encoded, exif
from test.fuzz.kind import Kind
from test.fuzz.mutation import mutate_text

_TABLES = (
    b"image,x_m,y_m,z_m,yaw_rad,stamp_ns,camera,traverse\n"
    b"0.jpg,1.5,2.5,0,0.1,1700000000000000000,front,first\n"
    b'1.jpg,2.5,3.5,0,-3.1,1700000001000000000,"rear, left",first\n2.jpg,3.5,4.5,,,,,\n',
    b"image,lat_deg,lon_deg,alt_m,heading_deg,stamp_ns\n"
    b"0.jpg,48.1,11.5,500,90,1700000000000000000\n1.jpg,48.1001,11.5001,,,\n",
    b"\xef\xbb\xbfimage,y_m,x_m\r\n0.jpg,1e3,-2e3\r\n1.jpg,0,0\r\n",
)
_NAMES = (
    "@0649187.87@5318235.61@32@U@48.00000@11.00000@pano@@90@@@500.5@20240506_070809@note@.jpg",
    "@0649188.87@5318235.61@32@U@48.00000@11.00001@@@@@@@@@.jpg",
    "@10.5@20.5@@@@@@@180@@@@202405@@.jpg",
)
_ODD_NAMES = (
    *("\udcff\udcfe.jpg", "a\nb.jpg", "\r.png", ".hidden.jpg", "=cmd().jpg", "é.JPG", "x" * 240),
    *("e\u0301.jpeg", "\x7f.jpe", "photo.heic", "raw.dng", "@.jpg", "@@@.jpg", "@1@2@.jpg"),
)


def _use(records: Records, folder: Path) -> None:
    """Go on as building a map, making a bag and planning a data set do."""
    assert np.isfinite(records.position[:, :2]).all()
    local = records.to_local(records.default_datum())
    assert np.isfinite(local.position[:, :2]).all()
    with contextlib.suppress(ProgeoError):
        write_bag(folder / "bag", local, compressed=True)
    with contextlib.suppress(ProgeoError):
        plan_dataset(records, DatasetSettings())


def _read_table(data: bytes, folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(_jpeg())
    table = folder / "records.csv"
    table.write_bytes(data)
    _use(read_placed_records(table).records, folder)


def _jpeg() -> bytes:
    return encoded("JPEG", exif=exif())


def _change_name(seed: str, rng: Random, others: Sequence[str]) -> str:
    changed = mutate_text(os.fsencode(seed), rng, [os.fsencode(other) for other in others])
    return os.fsdecode(changed)


def _read_name(name: str, _: Path) -> None:
    read_names([name])
    fields = read_name(name)
    written = read_name(format_name(fields))
    assert written.zone == fields.zone
    assert written.timestamp == fields.timestamp


def _change_folder(seed: Sequence[str], rng: Random, others: Sequence[Sequence[str]]) -> list[str]:
    names = list(seed)
    for _ in range(rng.randrange(1, 4)):
        row = rng.randrange(len(names))
        odd = _change_name(names[row], rng, names) if rng.random() < 0.7 else rng.choice(_ODD_NAMES)
        names[row : row + rng.randrange(2)] = [odd]
    if rng.random() < 0.2:
        names.append(rng.choice(("loop/", "broken -> nowhere.jpg", "list", "folder.jpg/")))
    return names


def _read_folder(names: Sequence[str], folder: Path) -> None:
    images = folder / "images"
    images.mkdir()
    for name in names:
        path = images / name.replace("/", "_").replace("\0", "_")[:80]
        if name == "loop/":
            os.symlink("..", images / "loop")
        elif name == "broken -> nowhere.jpg":
            os.symlink("nowhere", images / "broken.jpg")
        elif name == "folder.jpg/":
            (images / "folder.jpg").mkdir(exist_ok=True)
        elif name == "list":
            text = "\n".join(names).encode(errors="surrogateescape")
            (folder / "images_images_paths.txt").write_bytes(text)
        elif path.parent == images and len(os.fsencode(path.name)) < 250:
            path.write_bytes(_jpeg())
    try:
        list(list_images(images).names())
        _use(read_image_folder(images, Heading.AZIMUTH).records, folder)
    finally:
        shutil.rmtree(images)


KINDS = {
    "records.csv": Kind(lambda: _TABLES, _read_table, mutate_text, share=2.0),
    "'@' name": Kind(lambda: _NAMES, _read_name, _change_name, share=2.0),
    "folder of images": Kind(
        lambda: [_NAMES[:2], ["a.jpg", "b.jpg", "c.jpg"], _NAMES[2:]], _read_folder, _change_folder
    ),
}
