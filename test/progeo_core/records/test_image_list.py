import os
from pathlib import Path

import pytest

from progeo_core.errors import DataError
from progeo_core.records.image_list import ImageList, list_images


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_is_a_sequence_of_paths():
    images = ImageList(Path("/data"), ["a/1.jpg", "ä/2.jpg", "/elsewhere/3.jpg"])
    assert len(images) == 3
    assert list(images) == [Path("/data/a/1.jpg"), Path("/data/ä/2.jpg"), Path("/elsewhere/3.jpg")]
    assert list(images.names()) == ["a/1.jpg", "ä/2.jpg", "/elsewhere/3.jpg"]
    assert images[-1] == Path("/elsewhere/3.jpg")
    assert images[:2] == list(images)[:2]
    with pytest.raises(IndexError):
        images[3]


def test_names_that_are_no_utf8_survive(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert ImageList(tmp_path, [name]).name(0) == name


def test_walks_folders_in_a_fixed_order(tmp_path):
    touch(tmp_path, "b/2.JPG", "b/1.png", "a/9.jpeg", "0.webp", "notes.txt", ".x.jpg", ".y/1.jpg")
    assert list(list_images(tmp_path).names()) == ["0.webp", "a/9.jpeg", "b/1.png", "b/2.JPG"]


def test_a_pipe_is_no_image_that_could_be_read(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").touch()
    (tmp_path / "c.jpg").symlink_to("b.jpg")
    (tmp_path / "d.jpg").symlink_to("a.jpg")
    (tmp_path / "e.jpg").symlink_to("gone.jpg")
    assert list(list_images(tmp_path).names()) == ["b.jpg", "c.jpg", "e.jpg"]


def test_a_listing_beside_the_folder_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "train"
    touch(folder, "a/1.jpg", "a/2.jpg", "a/3.jpg")
    (tmp_path / "train_images_paths.txt").write_text("a/3.jpg\n\na/1.jpg\n")
    assert list(list_images(folder)) == [folder / "a/3.jpg", folder / "a/1.jpg"]


def test_a_stale_listing_is_refused(tmp_path):
    touch(tmp_path / "train", "1.jpg")
    (tmp_path / "train_images_paths.txt").write_text("gone.jpg\n")
    with pytest.raises(DataError, match=r"train_images_paths\.txt, line 1: .*gone\.jpg does not"):
        list_images(tmp_path / "train")


def test_a_name_too_long_for_any_file_is_one_that_does_not_exist(tmp_path):
    touch(tmp_path / "train", "1.jpg")
    (tmp_path / "train_images_paths.txt").write_text("x" * 5000)
    with pytest.raises(DataError, match=r"line 1: .*xxx does not exist"):
        list_images(tmp_path / "train")


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="no images"):
        list_images(tmp_path)
    with pytest.raises(DataError, match="gone: no such folder"):
        list_images(tmp_path / "gone")


def test_linked_folders_are_read_once_and_cycles_end(tmp_path):
    folder, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    touch(folder, *(f"{number}.jpg" for number in range(3)))
    touch(elsewhere, *(f"{number}.jpg" for number in range(9)))
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder)
    (folder / "gone").symlink_to(tmp_path / "nowhere")
    names = list(list_images(folder).names())
    assert len(names) == 12
    assert names[:4] == ["0.jpg", "1.jpg", "2.jpg", "again/0.jpg"]


def test_every_common_suffix_of_a_photo_is_read(tmp_path):
    names = ["a.JPE", "b.jfif", "c.JFIF", "d.avif", "e.tiff"]
    touch(tmp_path, *names)
    assert list(list_images(tmp_path).names()) == names


@pytest.mark.parametrize("installed", [False, True])
def test_pictures_that_are_not_read_are_said(tmp_path, caplog, monkeypatch, installed):
    monkeypatch.setattr("progeo_core.images.pillow_decoder.reads_heic", lambda: installed)
    touch(tmp_path, "1.jpg", "2.HEIC", "3.heic", "4.dng", "notes.txt", ".5.dng")
    assert len(list_images(tmp_path)) == (3 if installed else 1)
    (said,) = (record.getMessage() for record in caplog.records)
    if installed:
        assert said.endswith("pictures are not read (1 .dng): convert them to JPEG or PNG")
    else:
        assert "pictures are not read (1 .dng, 2 .heic): convert" in said
        assert "install pillow-heif" in said
