import pytest


@pytest.mark.slow
def test_a_drive_without_loops_says_what_to_do(progeo, few_records, small_model, tmp_path):
    out = tmp_path / "loops.html"
    done = progeo("loops", few_records, "--model", small_model, "--out", out)
    assert done.code == 0, done.err
    assert "loop closures  0" in done.out
    assert "A smaller --min-log-odds closes less certain loops" in out.read_text("utf-8")


def test_another_file_is_kept(progeo, few_records, tmp_path):
    out = tmp_path / "mine.html"
    out.write_text("mine")
    done = progeo("loops", few_records, "--out", out)
    assert done.code == 2
    assert "is no page of loops" in done.error
    assert out.read_text() == "mine"
