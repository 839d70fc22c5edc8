"""Tables as text, HTML, files, DataFrames and plots."""

from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest

from zeroskip.errors import ZeroskipError
from zeroskip.table import Column, Table

TABLE = Table(
    "sizes",
    ["format", Column("total", "bits"), Column("share", format=".1%"), "fits"],
    [("dense", 2048, 0.0, None), ("C<S>R", np.int64(96), np.float64(0.25), True)],
    ["one note"],
)


def test_plain_text():
    assert (
        str(TABLE)
        == repr(TABLE)
        == (
            "sizes\n"
            "format  total [bits]  share  fits\n"
            "------  ------------  -----  ----\n"
            "dense          2,048   0.0%\n"
            "C<S>R             96  25.0%   yes\n"
            "one note"
        )
    )


def test_rich_without_a_terminal_has_no_colour_codes():
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=100).print(TABLE)
    assert "\x1b" not in out.getvalue()
    for word in ("sizes", "total [bits]", "2,048", "25.0%", "C<S>R", "one note"):
        assert word in out.getvalue()


def test_markup_in_cells_is_only_text():
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=100).print(Table("[red]t", ["[b]c"], [("[bold]x[/bold]",)]))
    assert "[bold]x[/bold]" in out.getvalue()
    assert "[red]t" in out.getvalue()


def test_show_prints(capsys):
    TABLE.show()
    assert "2,048" in capsys.readouterr().out


def test_html_is_escaped():
    page = TABLE._repr_html_()
    assert "C&lt;S&gt;R" in page
    assert "C<S>R" not in page
    assert "<caption>sizes</caption>" in page


def test_reading():
    assert len(TABLE) == 2
    assert next(iter(TABLE)) == {"format": "dense", "total": 2048, "share": 0.0, "fits": None}
    assert TABLE[-1]["total"] == 96
    assert TABLE["total"].tolist() == [2048, 96]
    assert TABLE["total"].dtype.kind == "i"
    assert TABLE["fits"].tolist() == [None, True]
    with pytest.raises(ZeroskipError, match="no column 'bits'; the table has format, total, share"):
        TABLE["bits"]


def test_shape_is_checked():
    with pytest.raises(ZeroskipError, match="row 0 has 1 cells; expected 2: a, b"):
        Table("", ["a", "b"], [(1,)])
    with pytest.raises(ZeroskipError, match="columns of a table have different names"):
        Table("", ["a", "a"], [])


def test_empty_tables_print():
    empty = Table("", ["a", "bc"], [])
    assert str(empty) == "a  bc\n-  --"
    assert len(empty["a"]) == 0
    assert empty.to_csv() == "a,bc\n"


def test_files(tmp_path):
    assert TABLE.to_csv(tmp_path / "t.csv") == (
        "format,total,share,fits\ndense,2048,0.0,\nC<S>R,96,0.25,True\n"
    )
    assert (tmp_path / "t.csv").read_text() == TABLE.to_csv()
    assert json.loads(TABLE.to_json(tmp_path / "t.json")) == list(TABLE)
    assert json.loads((tmp_path / "t.json").read_text())[1]["total"] == 96


def test_pandas():
    frame = pytest.importorskip("pandas") and TABLE.to_pandas()
    assert list(frame.columns) == ["format", "total", "share", "fits"]
    assert frame["total"].sum() == 2144


SWEEP = Table(
    "sweep",
    ["format", "density", Column("time", "s")],
    [("CSR", 0.01, 1.0), ("B", 0.01, 2.0), ("CSR", 1.0, 100.0), ("B", 1.0, 3.0)],
)


@pytest.fixture
def plots():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.mark.usefixtures("plots")
def test_lines_for_each_group():
    axes = SWEEP.plot(x="density", y="time")
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert set(lines) == {"CSR", "B"}
    assert list(lines["CSR"].get_xdata()) == [0.01, 1.0]
    assert list(lines["B"].get_ydata()) == [2.0, 3.0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "time [s]"
    assert SWEEP.plot(x="density", y="time", ax=axes) is axes


@pytest.mark.usefixtures("plots")
def test_bars_over_text():
    axes = TABLE.plot()
    assert [bar.get_height() for bar in axes.patches] == [2048, 96]
    assert axes.get_xlabel() == "format"
    with pytest.raises(ZeroskipError, match="no column 'speed'"):
        TABLE.plot(y="speed")
    with pytest.raises(ZeroskipError, match="no column of numbers to draw; the table has a"):
        Table("", ["a"], [("x",)]).plot()


def test_xarray():
    pytest.importorskip("xarray")
    rows = TABLE.to_xarray()
    assert dict(rows.sizes) == {"row": 2}
    assert rows["total"].values.tolist() == [2048, 96]
    assert rows["total"].attrs == {"units": "bits"}
    assert (rows.attrs["title"], rows.attrs["notes"]) == ("sizes", "one note")
    assert TABLE.to_xarray("format")["share"].sel(format="C<S>R") == 0.25
    columns = [Column("a", axis=True), Column("b", axis=True), "n", "word"]
    partial = Table("", columns, [(1, 2, 5, "x"), (1, 3, 6, "y"), (4, 3, 7, "z")]).to_xarray()
    assert partial["n"].sel(a=4, b=3) == 7
    assert np.isnan(partial["n"].sel(a=4, b=2))
    assert partial["word"].sel(a=[1, 4], b=2).isnull().values.tolist() == [False, True]
    with pytest.raises(ZeroskipError, match=r"^to_xarray: rows 0 and 1 are both of a 1\n"):
        Table("", columns, [(1, 2, 5, "x"), (1, 3, 6, "y")]).to_xarray("a")
    with pytest.raises(ZeroskipError, match="no column"):
        TABLE.to_xarray("c")


@pytest.mark.parametrize(
    ("module", "method", "message"),
    [
        ("matplotlib.pyplot", "plot", "plot() needs matplotlib: pip install zeroskip[plot]"),
        ("xarray", "to_xarray", "to_xarray() needs xarray: pip install zeroskip[sweep]"),
        ("pandas", "to_pandas", "to_pandas() needs pandas: pip install zeroskip[plot]"),
    ],
)
def test_without_the_extras(monkeypatch, module, method, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ZeroskipError) as caught:
        getattr(TABLE, method)()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4.2761e-4, "428 µs"),
        (0.0, "0 s"),
        (9.996e-7, "1 µs"),
        (999.6, "1 ks"),
        (1.0, "1 s"),
        (-0.0025, "-2.5 ms"),
        (float("nan"), "nan s"),
        (np.float32(0.5), "500 ms"),
    ],
)
def test_a_unit_with_a_prefix(value, shown):
    assert Column("time_s", format="si:s").show(value) == shown
