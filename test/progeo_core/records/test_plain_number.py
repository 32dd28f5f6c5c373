import pytest

from progeo_core.records.plain_number import plain_number


def test_numbers_as_programs_write_them():
    assert [plain_number(text) for text in ("1", "-2.5", "1e3", ".5")] == [1.0, -2.5, 1000.0, 0.5]


@pytest.mark.parametrize("text", ["1_000", "１２", "1²", "", "one", "0x10", "1,5"])
def test_other_texts_are_none(text):
    with pytest.raises(ValueError, match=r"not a number|could not convert"):
        plain_number(text)
