import json
import re

from progeo_core.map.place_map import PlaceMap


def test_info_tells_the_same_as_text_and_as_json(progeo, campus_map):
    document = json.loads(progeo("map", "info", campus_map, "--json").out)
    assert document["schema"] == 1
    assert document["places"] == document["places_with_yaw"] == 36
    assert document["cameras"] == {"": 36}
    assert document["model"]["name"] == "small"
    assert document["stamps_ns"] is None
    assert document["bytes"] == campus_map.stat().st_size
    text = progeo("map", "info", campus_map).out
    assert "36, 36 of them with a direction" in text
    assert "65.0 × 53.6 × 0.0 m" in text


def test_info_on_a_damaged_map_says_so(progeo, campus_map, tmp_path):
    damaged = tmp_path / "damaged.progeo"
    content = bytearray(campus_map.read_bytes())
    content[20_000:120_000] = bytes(100_000)
    damaged.write_bytes(content)
    done = progeo("map", "info", damaged)
    assert done.code == 1
    assert f"{damaged}: the map is damaged" in done.error


def test_a_check_sees_a_single_flipped_bit(progeo, campus_map, tmp_path):
    damaged = tmp_path / "damaged.progeo"
    with PlaceMap.open(campus_map) as place_map:
        descriptor = place_map.descriptors([7])[0].tobytes()
    good = campus_map.read_bytes()
    bad = bytes([descriptor[0] ^ 0x40]) + descriptor[1:]
    damaged.write_bytes(good.replace(descriptor, bad))
    assert progeo("map", "info", damaged).code == 0
    done = progeo("map", "info", damaged, "--check")
    assert done.code == 1
    assert f"{damaged}: the map is damaged" in done.error
    assert "place 7: its descriptor does not match its checksum" in done.error
    whole = progeo("map", "info", campus_map, "--check")
    assert whole.code == 0
    assert re.search(r"checked +all of it is as it was written\n", whole.out)
