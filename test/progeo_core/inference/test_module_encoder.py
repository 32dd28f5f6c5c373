from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from progeo_core import CameraFrame, Localizer, build_map
from progeo_core.errors import DataError, ModelMismatchError, UsageError
from progeo_core.images.codec import read_image
from progeo_core.inference.loading import load_encoder
from progeo_core.records.image_source import FileSource
from progeo_core.records.records import read_records

HUBCONF = """
import torch
import urllib.error

class Net(torch.nn.Module):
    def __init__(self, dimension, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layer = torch.nn.Conv2d(3, dimension, 14, stride=14)

    def forward(self, images):
        return self.layer(images).mean(dim=(2, 3))

class Boxed(Net):
    def forward(self, images):
        found = super().forward(images)
        if self.box == "dict":
            return {"local": None, "global_desc": found}
        if self.box == "noise":
            return found + torch.randn_like(found)
        if self.box == "complex":
            return found.to(torch.complex64)
        if self.box == "numpy":
            return found.numpy()
        return (found, images) if self.box == "tuple" else [found]

def plain(dimension=64, seed=0):
    print("an entry that talks")
    return Net(dimension, seed)

def boxed(box):
    net = Boxed(64, 0)
    net.box = box
    return net

def broken():
    raise OSError("needs a network")

def unreachable():
    raise urllib.error.URLError("no such host")

def quits():
    raise SystemExit("bye")

def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    hub = tmp_path / "hub"
    hub.mkdir()
    (hub / "hubconf.py").write_text(HUBCONF)
    (hub / "my_models.py").write_text(HUBCONF)
    monkeypatch.syspath_prepend(str(hub))
    return hub


def test_an_entry_of_a_folder_makes_a_map_that_only_its_weights_open(
    folder: Path, corridor: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = load_encoder(f"hub:{folder}:plain?dimension=512", "cpu", trust_code=True)
    assert capsys.readouterr().out == ""
    path = tmp_path / "map.progeo"
    records = read_records(corridor / "ref.csv").select(slice(0, 5))
    build_map(path, FileSource(records), encoder)
    image = read_image(records.images[3])
    with Localizer.open(path, encoder) as localizer:
        answer = localizer.localize(CameraFrame(image))
    assert answer.matches[0].similarity == pytest.approx(1.0, abs=1e-3)
    other = load_encoder(f"hub:{folder}:plain?dimension=512&seed=1", "cpu", trust_code=True)
    with pytest.raises(ModelMismatchError, match="seed=1"):
        Localizer.open(path, other)


def test_a_factory_and_entries_that_box_it_give_the_same_descriptor(
    folder: Path, corridor: Path
) -> None:
    image = read_image(corridor / "ref" / "0000000.jpg")
    boxed = (f"hub:{folder}:boxed?box={box}&size=224" for box in ("dict", "tuple", "numpy"))
    one, *others = (
        load_encoder(model, "cpu", trust_code=True)
        for model in ("py:my_models:plain?size=224", *boxed)
    )
    for other in others:
        np.testing.assert_allclose(one.encode([image]), other.encode([image]), atol=1e-6)
    assert one.fingerprint.image_side == 224
    assert one.encode([]).shape == (0, 64)


def test_a_folder_may_have_an_at_sign_and_has_no_revisions(folder: Path) -> None:
    copy = folder.rename(folder.with_name("net@2"))
    assert load_encoder(f"hub:{copy}:plain", "cpu", trust_code=True).fingerprint.dimension == 64
    with pytest.raises(UsageError, match="neither a folder that is here nor OWNER/REPO"):
        load_encoder(f"hub:{copy}@v1:plain", "cpu", trust_code=True)


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ("broken", DataError, r"cannot be loaded \(OSError: needs a network\)"),
        ("unreachable", DataError, "cannot be loaded .*no such host.* on the network"),
        ("quits", DataError, r"cannot be loaded \(SystemExit: bye\)"),
        ("absent", DataError, "cannot be loaded .*absent"),
        ("number", DataError, "makes a int; a torch.nn.Module"),
        ("boxed?box=list", DataError, "returns a list"),
        ("boxed?box=complex", DataError, "returns complex numbers"),
        ("boxed?box=noise", DataError, "describes one image each time otherwise"),
        ("plain?size=8", DataError, "fails on images of 8x8 pixels"),
        ("plain?colour=red", DataError, "cannot be loaded .*colour"),
    ],
)
def test_code_that_fails_is_one_line(
    folder: Path, entry: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_encoder(f"hub:{folder}:{entry}", "cpu", trust_code=True)


def test_whose_code_runs_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.load", lambda *_, **__: 3)
    for model in (f"hub:{folder}:plain", "hub:me/net:make", "salad"):
        with pytest.raises(DataError, match="makes a int"):
            load_encoder(model, "cpu", trust_code=True)

    def offline(*_: object, **__: object) -> None:
        raise URLError("no such host")

    monkeypatch.setattr("torch.hub.load", offline)
    with pytest.raises(DataError, match="no folder me/net is here, and where there is no network"):
        load_encoder("hub:me/net@v1:make", "cpu", trust_code=True)
    plain, unpinned, salad, _ = (record.getMessage() for record in caplog.records)
    assert plain.endswith(f"runs code of {folder}")
    assert "me/net, whose default branch may change" in unpinned
    assert "serizba/salad at 07d713f54264; licence: GPL-3.0" in salad


def test_code_of_others_runs_only_where_it_is_trusted(folder: Path) -> None:
    for model in (f"hub:{folder}:plain", "py:my_models:plain", "hub:me/net@v1:make"):
        with pytest.raises(UsageError, match="--trust-code"):
            load_encoder(model, "cpu")
    with pytest.raises(UsageError, match="neither a folder that is here nor OWNER/REPO"):
        load_encoder("hub:nowhere:plain", "cpu", trust_code=True)
    with pytest.raises(DataError, match="No module named 'not_here'; install it, or name its"):
        load_encoder("py:not_here.models:plain", "cpu", trust_code=True)
    with pytest.raises(UsageError, match="runs in torch; leave --runtime out"):
        load_encoder(f"hub:{folder}:plain", "cpu", "onnx", trust_code=True)
