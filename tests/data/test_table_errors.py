"""The loader's errors: a wrong cell is named by file, row and column."""

from __future__ import annotations

import shutil

import pytest

from frontier.errors import InputError, TableError
from frontier.tables import DATA_DIR, load_tables


@pytest.fixture
def data_copy(tmp_path):
    """Give a copy of data/ that a test may damage."""
    return shutil.copytree(DATA_DIR, tmp_path / "data")


def _replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_word_where_a_number_belongs_is_named(data_copy):
    """The message gives file, row, column, what was expected and what was found."""
    _replace(data_copy / "settings.csv", "hours_per_month,730,", "hours_per_month,many,")
    with pytest.raises(
        TableError,
        match=r"settings\.csv, row \d+, column value: expected a number, found 'many'",
    ):
        load_tables(data_copy)


def test_an_unknown_source_is_named(data_copy):
    """A row may not cite a source that sources.csv does not have."""
    _replace(data_copy / "settings.csv", "hf-endpoints-pricing", "hearsay")
    with pytest.raises(TableError, match=r"column source_id: 'hearsay' is not in sources\.csv"):
        load_tables(data_copy)


def test_a_key_that_comes_twice_is_named(data_copy):
    """Two rows of one key would let one of them vanish silently."""
    path = data_copy / "settings.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(TableError, match="comes twice"):
        load_tables(data_copy)


def test_a_missing_file_is_named(data_copy):
    """A table that cannot be read is an error, not an empty table."""
    (data_copy / "settings.csv").unlink()
    with pytest.raises(TableError, match=r"settings\.csv: cannot be read"):
        load_tables(data_copy)


def test_a_row_of_the_wrong_length_is_named(data_copy):
    """A comma too many shifts every cell behind it: refused, with the count."""
    path = data_copy / "settings.csv"
    path.write_text(path.read_text(encoding="utf-8") + "a,b\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"settings\.csv, row \d+: expected 8 cells, found 2"):
        load_tables(data_copy)


def test_an_unknown_name_offers_the_nearest():
    """Asking for a row that is not there says which ones come close."""
    with pytest.raises(InputError, match="Did you mean hours_per_month"):
        load_tables().setting("hours_per_mont")
