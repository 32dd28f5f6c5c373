"""Files changed behind the program's back: one error that names the file and the place."""

import contextlib
import random

import numpy as np
import pytest

from progeo_core.errors import DataError, ProgeoError
from progeo_core.map.checksums import descriptor_checksums
from progeo_core.map.place_index import PlaceIndex
from progeo_core.map.place_map import PlaceMap
from progeo_core.map.place_rows import storable_name
from test.map_content import assert_damaged, check, content_of, read_content

FLIPS = 400
PAGE = 8192
NAN = np.full(8, np.nan, np.float16)

CHANGED = [
    ("UPDATE place SET x_m = x_m + 1 WHERE id = 3", "place 3: its pose does not match"),
    ("UPDATE place SET z_m = 9e999 WHERE id = 3", "place 3: its position is not finite"),
    ("UPDATE place SET z_m = -1e300 WHERE id = 3", "place 3: its position is not finite or not"),
    ("UPDATE place SET yaw_rad = 9e999 WHERE id = 3", "place 3: its pose does not match"),
    ("UPDATE place SET yaw_rad = NULL WHERE id = 3", "place 3: its pose does not match"),
    ("UPDATE place SET yaw_rad = 0.5 WHERE id = 1", "place 1: its pose does not match"),
    ("UPDATE place SET pose_checksum = 0 WHERE id = 3", "place 3: its pose does not match"),
    ("UPDATE place SET stamp_ns = 1 WHERE id = 3", "place 3: its names and stamp do not match"),
    ("UPDATE place SET camera = '' WHERE id = 3", "place 3: its names and stamp do not match"),
    ("UPDATE place SET image = 'x' WHERE id = 3", "place 3: its names and stamp do not match"),
    ("UPDATE place SET camera = CAST(x'ff' AS TEXT) WHERE id = 3", "full.progeo: the map is dam"),
    ("UPDATE thumbnail SET jpeg = x'00' WHERE place_id = 3", "place 3: its thumbnail does not"),
    ("DELETE FROM thumbnail WHERE place_id = 3", "place 3: its thumbnail does not match"),
    ("INSERT INTO thumbnail VALUES (4, x'00')", "place 4: its thumbnail does not match"),
    (
        "UPDATE descriptor SET float16 = zeroblob(16) WHERE place_id = 3",
        "place 3: its descriptor does not match its checksum",
    ),
    (
        "UPDATE descriptor SET float16 = zeroblob(14) WHERE place_id = 3",
        "place 3: its descriptor has not 8 values",
    ),
    (
        f"UPDATE descriptor SET float16 = x'{NAN.tobytes().hex()}',"
        f" checksum = {descriptor_checksums(np.array([3]), NAN[None])[0]} WHERE place_id = 3",
        "place 3: its descriptor is not finite",
    ),
    ("DELETE FROM descriptor WHERE place_id = 60", "59 descriptors of 60 places"),
    ("DELETE FROM place WHERE id = 60", "it holds other places than the 60 that it should"),
    ("UPDATE place SET id = 1000 WHERE id = 60", "place 1000: its pose does not match"),
    (
        "INSERT INTO place SELECT 1000, x_m, y_m, z_m, yaw_rad, stamp_ns, camera, traverse, image,"
        " thumbnail_crc32, pose_checksum, label_crc32, view_crc32 FROM place WHERE id = 3",
        "it holds other places than the 60 that it should",
    ),
]
CHANGED_V1 = [
    ("UPDATE place SET x_m = 'east' WHERE id = 3", "place 3: its position is no number"),
    ("UPDATE place SET x_m = x'00' WHERE id = 3", "place 3: its position is no number"),
    ("UPDATE place SET y_m = 9e999 WHERE id = 3", "place 3: its position is not finite"),
    ("UPDATE place SET yaw_rad = -9e999 WHERE id = 3", "place 3: its position is no number"),
    ("UPDATE place SET yaw_rad = 'north' WHERE id = 3", "place 3: its position is no number"),
    ("UPDATE place SET stamp_ns = 'now' WHERE id = 3", "place 3: its names or stamp cannot be"),
    ("UPDATE place SET stamp_ns = 9e999 WHERE id = 3", "place 3: its names or stamp cannot be"),
    ("UPDATE place SET camera = x'ff' WHERE id = 3", "place 3: its names or stamp cannot be"),
    ("UPDATE descriptor SET float16 = 'text' WHERE place_id = 3", "place 3: its descriptor has"),
    ("UPDATE descriptor SET float16 = 7.0 WHERE place_id = 3", "place 3: its descriptor has"),
    (
        f"UPDATE descriptor SET float16 = x'{NAN.tobytes().hex()}' WHERE place_id = 3",
        "place 3: its descriptor is not finite",
    ),
    ("UPDATE thumbnail SET jpeg = 'picture' WHERE place_id = 2", "place 2: its thumbnail cannot"),
    ("UPDATE map SET datum_lat_deg = 'north'", "what it says of itself cannot be read"),
    ("UPDATE map SET datum_lat_deg = 91", "datum latitude 91.0: must be"),
    ("UPDATE map SET revision = 5.5, fingerprint = x'00'", "the map is damaged"),
    ("UPDATE calibration SET slope = 9e999", "its calibration is not finite"),
    ("UPDATE calibration SET slope = 'steep'", "what it says of itself cannot be read"),
]


@pytest.mark.parametrize(("statement", "message"), CHANGED)
def test_changed_rows_are_one_error_that_names_the_place(full_map, edited, statement, message):
    edited(full_map, "PRAGMA foreign_keys = OFF", statement)
    assert_damaged(full_map, message)


@pytest.mark.parametrize(("statement", "message"), CHANGED_V1)
def test_changed_rows_without_checksums_are_one_error(schema1_map, edited, statement, message):
    edited(schema1_map, "PRAGMA ignore_check_constraints = ON", statement)
    assert_damaged(schema1_map, message)


def test_a_calibration_that_a_kill_tore_counts_as_none(schema1_map, edited):
    edited(schema1_map, "DELETE FROM calibration WHERE kind = 'single'")
    with PlaceMap.open(schema1_map) as place_map:
        assert place_map.calibration() is None


@pytest.mark.slow
def test_no_flipped_bit_changes_what_is_read_or_passes_the_check(full_map, tmp_path):
    wanted, good = read_content(full_map), full_map.read_bytes()
    path = tmp_path / "flips" / "flipped.progeo"
    path.parent.mkdir()
    chosen = random.Random(0)
    noticed = 0
    for _ in range(FLIPS):
        bit = chosen.randrange(8 * len(good))
        for left in path.parent.iterdir():
            left.unlink()
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            with PlaceMap.open(path) as place_map:
                assert content_of(place_map) == wanted, f"bit {bit} changes what is read"
        except ProgeoError:
            noticed += 1
            with pytest.raises(ProgeoError, match=r"flipped\.progeo"):
                check(path)
    assert noticed > FLIPS / 10


def mutated(good: bytes, chosen: random.Random) -> bytes:
    """Return a file with bytes, numbers or whole pages of it replaced, or cut short."""
    data, pages = bytearray(good), len(good) // PAGE
    one, other = (PAGE * chosen.randrange(pages) for _ in range(2))
    at = chosen.randrange(len(good))
    kind = chosen.randrange(5)
    if kind == 0:
        data[one : one + PAGE] = good[other : other + PAGE]
    elif kind == 1:
        # The header of a page: its kind, numbers of cells, the page that follows.
        data[one + chosen.randrange(100)] = chosen.choice([0, 1, 2, 5, 10, 13, 255])
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        data[at : at + 40] = bytes(40)
    else:
        data[at : at + 8] = chosen.choice([b"\xff" * 8, b"\x7f\xf0" + bytes(6)])
    return bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("writable", [False, True])
def test_files_of_any_bytes_are_read_or_are_errors_of_this_program(
    full_map, schema1_map, tmp_path, writable
):
    chosen = random.Random(1)
    folder = tmp_path / "mutants"
    folder.mkdir()
    for good in (full_map.read_bytes(), schema1_map.read_bytes()):
        for _ in range(60):
            for left in folder.iterdir():
                left.unlink()
            path = folder / "mutant.progeo"
            path.write_bytes(mutated(good, chosen))
            with (
                contextlib.suppress(ProgeoError),
                PlaceMap.open(path, writable=writable) as place_map,
            ):
                PlaceIndex.open(place_map).search(np.ones((1, 8)), 3)
                content_of(place_map)
                place_map.verify()


def test_zeroed_bytes_are_seen(full_map):
    good = full_map.read_bytes()
    places = good.find("10 ü.jpg".encode())
    full_map.write_bytes(good[: places - 20] + bytes(40) + good[places + 20 :])
    for act in (read_content, check):
        with pytest.raises(DataError, match=r"full\.progeo"):
            act(full_map)


def test_names_that_are_no_unicode_are_kept_readable(filled_map, make_places, unit_vectors):
    latin = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    with PlaceMap.open(filled_map, writable=True) as place_map:
        ids = place_map.append(make_places(1)._replace(image=[latin]), unit_vectors(1))
        assert place_map.images(ids.tolist()) == [storable_name(latin)] == ["caf\\udce9.jpg"]
