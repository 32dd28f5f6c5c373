import json

import pytest

from progeo_core.commands.compare import _split


@pytest.fixture
def laps(corridor, tmp_path):
    """Return tables of every thirtieth image of both passes of the corridor."""
    tables = []
    for name in ("ref", "query"):
        header, *rows = (corridor / f"{name}.csv").read_text().splitlines()
        tables.append(tmp_path / f"{name}.csv")
        tables[-1].write_text("\n".join([header, *(f"{corridor}/{row}" for row in rows[::30])]))
    return tables


@pytest.mark.slow
def test_models_side_by_side_in_a_table_a_file_and_a_picture(progeo, laps, small_model, tmp_path):
    database, queries = laps
    out, picture = tmp_path / "out.json", tmp_path / "models.svg"
    done = progeo(
        "compare", "--database", database, "--queries", queries, "--radius", 5,
        "--models", f"{small_model},progeo-tiny", "--json", out, "--picture", picture,
        "--device", "cpu", "--runtime", "torch",
    )  # fmt: skip
    assert done.code == 0, done.err
    document = json.loads(out.read_text())
    assert document["schema"] == 1
    assert (document["database"], document["queries"]) == (4, 4)
    small, tiny = document["models"]
    assert small["model"] == str(small_model)
    assert tiny["recall_at"]["1"] >= 0.5
    assert set(tiny["verified"]["recall_at"]) == {"1", "5", "10", "20"}
    assert tiny["dimension"] == 1280
    assert tiny["ms_per_image"] > 0
    assert tiny["runs_in"].startswith("torch in ")
    assert f"{tiny['recall_at']['1']:.3f}" in done.out
    assert "4 queries, 4 with a place within 5 m among 4" in done.out
    assert "progeo-tiny" in picture.read_text()


def test_bad_use_is_said_before_anything_slow(progeo, laps, tmp_path):
    database, queries = laps
    command = ["compare", "--database", database, "--queries", queries, "--models"]
    done = progeo(*command, "no-such-model")
    assert done.code == 2
    assert "no-such-model" in done.error
    done = progeo(*command, " ,")
    assert done.code == 2
    assert "names no model" in done.error
    done = progeo(*command, "progeo-tiny", "--picture", tmp_path / "models.png")
    assert done.code == 2
    assert "must be called NAME.svg" in done.error


def test_models_with_options_are_told_from_each_other():
    one, two = "onnx:a.onnx?mean=0.5,0.5,.5&std=1,1,1", "hub:me/net:make?dim=64"
    assert _split([f"{one},{two},progeo-tiny", two]) == [one, two, "progeo-tiny"]
    assert _split(["2024-model,7"]) == ["2024-model", "7"]
