import os
from pathlib import Path

from progeo_core.descriptors.files_key import files_key


def test_a_key_follows_identity_order_and_changes_of_files(tmp_path: Path) -> None:
    # A name that is no UTF-8, as old disks have them.
    first, second = tmp_path / "a.jpg", Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))
    first.write_bytes(b"1")
    keys = [files_key("model", [first, second])]
    second.write_bytes(b"2")
    keys.append(files_key("model", [first, second]))
    assert keys[1] == files_key("model", iter([first, second]))
    keys += [files_key("model", [second, first]), files_key("other", [first, second])]
    second.write_bytes(b"22")
    keys.append(files_key("model", [first, second]))
    os.utime(second, ns=(0, 0))
    keys.append(files_key("model", [first, second]))
    assert len({*keys}) == 6
    assert all(len(key) == 32 for key in keys)
