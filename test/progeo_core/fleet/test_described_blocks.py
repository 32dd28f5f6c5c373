"""Images described a block at a time, however they are cut."""

import dataclasses
import platform

import numpy as np
import pytest

from progeo_core.errors import ModelMismatchError
from progeo_core.fleet import described_blocks
from progeo_core.fleet.described_blocks import FleetModel, cut, describe_stretch
from progeo_core.records.image_source import source_of_records
from progeo_core.verification.view_finder import DepthViewFinder
from test.fleet_images import BROKEN, GreyEncoder, write_records


def test_blocks_name_the_rows_of_the_whole_input(corridor, tmp_path, monkeypatch):
    monkeypatch.setattr(described_blocks, "BLOCK", 4)
    table = write_records(tmp_path, sorted((corridor / "ref").glob("*.jpg"))[:12], 12)
    source = source_of_records(table)
    rows = np.array([1, 2, 3, 5, 7, 8, 9, 11])
    stretches = [*cut(source, source.records, rows, 5)]
    assert [one.rows.tolist() for one in stretches] == [[1, 2, 3, 5, 7], [8, 9, 11]]
    encoder = GreyEncoder()
    blocks = [block for one in stretches for block in describe_stretch(one, encoder, None)]
    assert [block.images for block in blocks] == [4, 1, 3]
    described = [one.row for block in blocks for one in block.described]
    assert described == [row for row in rows if row != BROKEN]
    ((skipped,), *others) = [block.skipped for block in blocks]
    assert (skipped.index, "broken.jpg" in str(skipped.error), others) == (BROKEN, True, [[], []])
    assert {(block.note, block.runs_in) for block in blocks} == {(None, "numpy")}
    (alone,) = describe_stretch(next(cut(source, source.records, rows[3:4], 1)), encoder, None)
    same = next(one for block in blocks for one in block.described if one.row == 5)
    np.testing.assert_array_equal(alone.described[0].descriptor, same.descriptor)


def test_a_model_comes_with_what_finds_local_features_or_without(small_model):
    model = FleetModel(str(small_model), "cpu", "auto", False, 0)
    encoder, nothing = model.load()
    assert (encoder.fingerprint.architecture, nothing) == ("MobileNetV2+GeM", None)
    _, finder = model._replace(features=64).load()
    assert isinstance(finder, DepthViewFinder)
    assert finder.features == 64


def test_a_machine_with_other_weights_under_that_name_is_refused(small_model, small_encoder):
    wanted = dataclasses.replace(small_encoder.fingerprint, weights_sha256="ab" * 32)
    model = FleetModel(str(small_model), "cpu", "auto", False, 0, fingerprint=wanted)
    found = small_encoder.fingerprint.weights_sha256[:12]
    with pytest.raises(ModelMismatchError, match=rf"on .+{found}.+command runs .+{'ab' * 6}") as no:
        model.load()
    assert platform.node() in str(no.value)
    model._replace(fingerprint=small_encoder.fingerprint).load()
