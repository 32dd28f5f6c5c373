import pytest

from progeo_core.records.csv_cells import no_formula


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@0584@.jpg", "\t=1", "\r=1", "\uff1d1"])
def test_what_a_spreadsheet_would_run_gets_a_prefix(text: str) -> None:
    assert no_formula(text) == f"'{text}"
    assert no_formula(text, "./") == f"./{text}"


@pytest.mark.parametrize("text", ["", "a=1", "ref/@0584@.jpg", "12:0.5"])
def test_other_text_stays(text: str) -> None:
    assert no_formula(text) == text
