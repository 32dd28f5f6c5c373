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
from progeo_core.images.calibration_file import read_calibration
from progeo_core.records.cosplace_names import format_name, read_name, read_names
from progeo_core.records.image_list import list_images
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import Heading, Records, read_image_folder, read_placed_records
from test.fuzz.image_kinds import encoded, exif
from test.fuzz.kind import Kind
from test.fuzz.message_kinds import check_lens
from test.fuzz.mutation import mutate_text

_TABLES = (
    b"image,x_m,y_m,z_m,yaw_rad,stamp_ns,camera,traverse\n"
    b"0.jpg,1.5,2.5,0,0.1,1700000000000000000,front,first\n"
    b'1.jpg,2.5,3.5,0,-3.1,1700000001000000000,"rear, left",first\n2.jpg,3.5,4.5,,,,,\n',
    b"image,lat_deg,lon_deg,alt_m,heading_deg,stamp_ns\n"
    b"0.jpg,48.1,11.5,500,90,1700000000000000000\n1.jpg,48.1001,11.5001,,,\n",
    b"image,x_m,y_m,qx,qy,qz,qw,depth\n0.jpg,1,2,0.5,-0.5,0.5,-0.5,0.png\n1.jpg,2,3,,,,,\n"
    b"2.jpg,3,4,-0.7071068,0,0,0.7071068,0.png\n",
    b"\xef\xbb\xbfimage,y_m,x_m\r\n0.jpg,1e3,-2e3\r\n1.jpg,0,0\r\n",
)
_CALIBRATIONS = tuple(
    b"image_width: 640\nimage_height: 480\ncamera_name: front\ncamera_matrix:\n  rows: 3\n"
    b"  data: [500.5, 0., 320., 0., 510., 2.4e+02, 0., 0., 1.]\ndistortion_model: " + lens
    for lens in (
        b"plumb_bob\ndistortion_coefficients:\n  data: [-0.2, 0.05, 0.001, 0., 0.]\n",
        b"equidistant\ndistortion_coefficients: {rows: 1, data: [-0.02, 0.01, 0.001, 0.]}\n",
        b"rational_polynomial\ndistortion_coefficients:\n  data: [1, 0.5, 0, 0, 0.01, 1, 1, 0.1]\n",
    )
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
    known = np.isfinite(local.orientation).all(axis=1)
    assert np.allclose(np.linalg.norm(local.orientation[known], axis=1), 1.0)
    assert len(list(FileSource(local).depths())) == len(local)
    with contextlib.suppress(ProgeoError):
        write_bag(folder / "bag", local, compressed=True)
    with contextlib.suppress(ProgeoError):
        plan_dataset(records, DatasetSettings())


def _read_table(data: bytes, folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(_jpeg())
    (folder / "0.png").write_bytes(encoded("PNG", mode="I;16"))
    table = folder / "records.csv"
    table.write_bytes(data)
    _use(read_placed_records(table).records, folder)


def _read_calibration(data: bytes, folder: Path) -> None:
    file = folder / "camera.yaml"
    file.write_bytes(data)
    check_lens(read_calibration(file))


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
    "camera calibration": Kind(lambda: _CALIBRATIONS, _read_calibration, mutate_text),
    "'@' name": Kind(lambda: _NAMES, _read_name, _change_name, share=2.0),
    "folder of images": Kind(
        lambda: [_NAMES[:2], ["a.jpg", "b.jpg", "c.jpg"], _NAMES[2:]], _read_folder, _change_folder
    ),
}
