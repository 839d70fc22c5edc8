"""Words of the command line → operands, numbers, padding and formats."""

import pytest

import zeroskip as zs
from zeroskip.command_line.operands import (
    UsageError,
    read_formats,
    read_names,
    read_pad,
    read_value,
    read_whole,
)


def test_padding_words():
    assert read_pad([]) is None
    assert read_pad(["0,1"]) == (0, 1)
    assert read_pad(["I=2"]) == {"I": 2}
    assert read_pad(["I.h=1", "I.3=0,2", "J=1"]) == {"I": {"h": 1, 3: (0, 2)}, "J": 1}
    for words in (["1", "I=1"], ["I=1", "I.h=1"], ["I.=1"], ["1x"]):
        with pytest.raises(UsageError):
            read_pad(words)


def test_values():
    assert read_value("a", "-2.5") == -2.5
    assert read_value("a", "3") == 3
    assert read_value("F", "shape()") == ()
    assert read_value("F", "random(2,8;2:4)").structure == "2:4"
    assert len(read_value("F", "random(8;0.1,0.5,1)")) == 3
    with pytest.raises(UsageError, match=r"found '1\.0'"):
        read_names(["r=1.0"], "a size", read_whole)


def test_formats_hold_commas_and_spaces():
    assert read_formats(["[m,c] c:U m:C", "F=m:U c*r*s:C", "F=CSR"]) == (
        ["[m,c] c:U m:C"],
        {"F": ["m:U c*r*s:C", "CSR"]},
    )


def test_slices_are_slices_and_nothing_else(files):
    assert read_value("B", "many.npz:b[1]").shape == (3, 4)
    assert read_value("B", "many.npz:b[0:1,::2,-1]").tolist() == [[3, 11]]
    for text in ("[0;1]", "[__import__]", "[1:2:3:4]", "[,]", "[...]"):
        with pytest.raises(UsageError, match="expected slices"):
            read_value("B", f"many.npz:b{text}")
    with pytest.raises(zs.ZeroskipError, match="index 5 is out of bounds"):
        read_value("B", "many.npz:b[5]")
