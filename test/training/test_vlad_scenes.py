"""What matches in the scenes, read off small tables."""

from pathlib import Path

import numpy as np
import pytest

TRAINING = Path(__file__).resolve().parent.parent.parent / "training"
TABLES = {
    "corridor/records.csv": "image,traverse,frame\na,ref,0\nb,ref,5\nc,query,1\n",
    "rtabmap_corridor_loop/records.csv": "image,traverse,gt_frames\na,lap1,\nb,lap2,0\n",
    "campus_loop/records.csv": "image,x_m,y_m\na,0,0\nb,3,0\nc,9,0\n",
    "hololens_office/records.csv": "image,x_m,y_m,yaw_rad\na,0,0,0\nb,0,0,3\nc,0.5,0,6.2\n",
    "ie_tower/records.csv": "image,video,frame\na,u,1\nb,u,2\nc,v,1\nd,w,1\ne,x,2\n",
}
SPLIT = {"query": "image\nc\n", "map": "image\na\nb\n"}


def test_queries_match_what_shows_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TRAINING))
    from vlad_scenes import read_scenes

    tables = dict(TABLES)
    for name in "ab":
        for part, text in SPLIT.items():
            tables[f"hololens_office/split_{name}_{part}.csv"] = text
    for name, text in tables.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    scenes = {scene.name: scene for scene in read_scenes(tmp_path)}
    right = {name: scene.splits[0].right.tolist() for name, scene in scenes.items()}
    assert right == {
        "corridor": [[True, False]],
        "loop": [[True]],
        "campus": [[True, False]],  # b is near a, and not near c
        "office": [[True, False]],  # b looks the other way
        "tower": [[True, False]],  # of clips u and x, one in three
    }
    np.testing.assert_array_equal(scenes["corridor"].splits[1].right, [[True], [False]])
