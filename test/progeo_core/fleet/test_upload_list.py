"""The list of maps whose places are still to go up."""

import logging

import pytest

from progeo_core.errors import DataError
from progeo_core.fleet.upload_list import Upload, UploadList


def test_the_list_survives_and_a_map_that_was_made_anew_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "cache" / "uploads.json"
    yard, dock = tmp_path / "yard.progeo", tmp_path / "dock.progeo"
    first = UploadList(path)
    first.add(yard, "aa", 20)
    first.add(dock, "bb", 0)
    # Mapping goes on after a restart: what was before that is still to go up.
    first.add(yard, "aa", 70)
    again = UploadList(path)
    assert again.uploads == [Upload(str(yard), "aa", 20), Upload(str(dock), "bb", 0)]
    assert again.uploads[0].upto == 20
    again.add(yard, "cc", 0)
    again.remove(again.uploads[0])
    assert UploadList(path).uploads == [Upload(str(yard), "cc", 0)]


def test_a_damaged_list_is_told_and_a_disk_that_refuses_is_an_error(tmp_path, caplog):
    path = tmp_path / "uploads.json"
    path.write_text('[["yard.progeo"]]')
    with caplog.at_level(logging.WARNING, "progeo_core"):
        assert UploadList(path).uploads == []
    assert "uploads.json: the list of maps to share cannot be read" in caplog.text
    with pytest.raises(DataError, match="cannot be written; free some room"):
        UploadList(path / "below" / "uploads.json").add(tmp_path / "a.progeo", "aa", 0)
