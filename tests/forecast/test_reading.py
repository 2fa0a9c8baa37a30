"""CSV and data frames as tables: delimiters, commas, headers, encodings, and what is refused."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from lstmfast._forecast import csv_text, dates, numbers, reading
from lstmfast._forecast.errors import SeriesError

from .helpers import table


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter: str) -> None:
    rows = csv_text.parse(f"a{delimiter}b\n1{delimiter}2.5\n3{delimiter}4\n".encode(), "x")
    assert rows.columns == {"a": ["1", "3"], "b": ["2.5", "4"]}
    assert (rows.delimiter, rows.lines) == (delimiter, [2, 3])


def test_a_single_column() -> None:
    assert csv_text.parse(b"y\n1\n2\n", "x").columns == {"y": ["1", "2"]}


def test_no_header() -> None:
    rows = csv_text.parse(b"2024-01-01,1\n2024-01-02,2\n", "x")
    assert rows.columns == {"column 1": ["2024-01-01", "2024-01-02"], "column 2": ["1", "2"]}
    assert rows.lines == [1, 2]


def test_quotes_blank_lines_comments_and_marks() -> None:
    text = '# made by hand\n\n"a, b";c\n"1";"x;y"\n\n2;\n;\n'
    rows = csv_text.parse(text.encode("utf-8-sig"), "x")
    assert rows.columns == {"a, b": ["1", "2", ""], "c": ["x;y", "", ""]}
    assert rows.lines == [4, 6, 7]


def test_fields_with_line_ends_and_separators_in_quotes() -> None:
    """What is within quotes is one field as it stands, and rows after it are called by their own lines."""
    text = 't,note,y\r\n1,"two\r\nlines, a comma and ""quotes""",5\r\n2,,6\r\n3,\x0b,x\r\n'
    rows = csv_text.parse(text.encode(), "x")
    assert rows.columns["note"] == ['two\r\nlines, a comma and "quotes"', "", ""]
    assert rows.columns["y"] == ["5", "6", "x"]
    assert rows.lines == [2, 4, 5]


def test_what_spreadsheets_say_of_the_separator() -> None:
    rows = csv_text.parse("\ufeffsep=;\r\na;b\r\n1,5;2\r\n".encode(), "x")
    assert (rows.columns, rows.delimiter, rows.lines) == ({"a": ["1,5"], "b": ["2"]}, ";", [3])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    assert list(csv_text.parse("tag;höhe\n1;2\n".encode(encoding), "x").columns) == ["tag", "höhe"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty file"),
        (b"\n\n# nothing\n", "empty file"),
        (b"a,b\n1,2\n3\n", r"x, line 3: expected 2 fields .* \(separated by commas\), got 1"),
        (b"a,a\n1,2\n", "names of their own, got 'a' twice"),
        (bytes(range(256)), "expected text"),
        (b"sep=;\n", "empty file"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "x, line 3: expected CSV: unexpected end of data"),
    ],
)
def test_what_is_no_table(data: bytes, said: str) -> None:
    with pytest.raises(SeriesError, match=said):
        csv_text.parse(data, "x")


def test_decimal_commas() -> None:
    assert numbers.parse(table("t;y\n1;1,5\n2;-0,25\n3;2\n4;\n"), "y")[:3].tolist() == [1.5, -0.25, 2]


def test_a_comma_that_could_be_either_is_refused() -> None:
    with pytest.raises(SeriesError, match=r"cannot tell whether the comma in '1,234'"):
        numbers.parse(table("t;y\n1;1,234\n2;5\n"), "y")
    assert numbers.parse(table("t;y\n1;0,234\n2;5\n"), "y").tolist() == [0.234, 5]


def test_thousands_are_refused() -> None:
    for text in ("1,234.5", "1.234,5", "1,234"):
        with pytest.raises(SeriesError, match=f"line 3: .* 'y', got '{text}': .* nothing between thousands"):
            numbers.parse(table(f't,y\n1,2\n2,"{text}"\n'), "y")
    with pytest.raises(SeriesError, match=r"cannot tell whether the dot in '1\.234'"):
        numbers.parse(table("t;y\n1;987\n2;1.234\n"), "y")
    assert numbers.parse(table("t;y\n1;1.234\n2;5.678\n"), "y").tolist() == [1.234, 5.678]
    assert numbers.parse(table("t;y\n1;1.25\n2;5\n3;1.234\n"), "y").tolist() == [1.25, 5, 1.234]


@pytest.mark.parametrize("text", ["", "NA", "nan", "n/a", "NULL", "None", "-", "?"])
def test_nothing(text: str) -> None:
    values = numbers.parse(table(f"t,y\n1,2\n2,{text}\n3,4\n"), "y")
    np.testing.assert_array_equal(values, [2, np.nan, 4])


@pytest.mark.parametrize("text", ["b", "1_000", "1.2.3", "0x10", "12 kW", "1e"])
def test_text_in_a_column_of_numbers(text: str) -> None:
    with pytest.raises(
        SeriesError, match=f"x.csv, line 3: expected a number in the column 'y', got '{text}'"
    ):
        numbers.parse(table(f"t,y\n1,2\n2,{text}\n"), "y")


def test_numbers_beyond_floats() -> None:
    with pytest.raises(SeriesError, match="line 3: expected a finite number"):
        numbers.parse(table("t,y\n1,2\n2,1e999\n"), "y")


def test_mappings_of_arrays() -> None:
    made = reading.of_frame({"t": np.arange(3), "y": [1.0, None, 3.0]}, "frame")
    np.testing.assert_array_equal(numbers.parse(made, "y"), [1, np.nan, 3])
    with pytest.raises(SeriesError, match="columns of one length"):
        reading.of_frame({"t": np.arange(3), "y": np.arange(2)}, "frame")


def test_data_frames() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-01-01", periods=3, freq="h", tz="Europe/Berlin", name="when")
    made = reading.of_frame(pandas.DataFrame({"y": [1, 2, 3]}, index=index), "frame")
    assert list(made.columns) == ["when", "y"]
    found = dates.parse(made, "when")
    assert found.times[0] == np.datetime64("2023-12-31T23:00")
    assert found.zones
    zoned = pandas.DataFrame({"t": index, "y": [1, 2, 3]})
    assert dates.parse(reading.of_frame(zoned, "frame"), "t").zones
    assert not dates.parse(reading.of_frame({"t": np.array(index.tz_localize(None))}, "frame"), "t").zones
    plain = reading.of_frame(pandas.DataFrame({"y": [1, 2, 3]}), "frame")
    assert list(plain.columns) == ["y"]


def test_parquet(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    polars.DataFrame({"t": [1, 2, 3], "y": [1.0, None, 3.0]}).write_parquet(tmp_path / "x.parquet")
    made = reading.read(tmp_path / "x.parquet")
    np.testing.assert_array_equal(numbers.parse(made, "y"), [1, np.nan, 3])
    (tmp_path / "y.parquet").write_bytes(b"no such thing")
    with pytest.raises(SeriesError, match="expected a Parquet file"):
        reading.read(tmp_path / "y.parquet")


def test_parquet_by_pandas(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    index = pandas.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Berlin", name="when")
    pandas.DataFrame({"y": [1, 2, 3]}, index=index).to_parquet(tmp_path / "x.parquet")
    found = dates.parse(reading.read(tmp_path / "x.parquet"), "when")
    assert found.zones
    assert found.local.tolist() == pandas.date_range("2024-03-30", periods=3).to_pydatetime().tolist()
    assert found.times[2] == np.datetime64("2024-03-31T22:00")


def test_zones_of_polars() -> None:
    polars = pytest.importorskip("polars")
    when = [datetime.datetime(2024, 1, 1, hour, tzinfo=datetime.timezone.utc) for hour in range(3)]
    frame = polars.DataFrame({"t": when, "y": [1, 2, 3]})
    frame = frame.with_columns(polars.col("t").dt.convert_time_zone("Europe/Berlin"))
    found = dates.parse(reading.of_frame(frame, "frame"), "t")
    assert found.zones
    assert found.times[0] == np.datetime64("2024-01-01T00:00")


def test_parquet_without_who_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    for name in ("polars", "pandas"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ImportError, match="pip install polars"):
        reading.read(tmp_path / "x.parquet")
