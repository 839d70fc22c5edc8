"""The notation: what it means, how it prints, how it is refused."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.errors import FormatError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Bitmask, Compressed, RunLength, Singleton, Uncompressed
from zeroskip.formats.named import NAMED


def refusal(spec, ndim=None):
    with pytest.raises(FormatError) as caught:
        Format(spec) if ndim is None else Format(spec).bind(ndim)
    return str(caught.value)


def test_ranks_axes_and_levels():
    fmt = Format("m:U c*r*s:C(16)")
    assert fmt.axes == ("m", "c", "r", "s")
    assert [rank.axes for rank in fmt.ranks] == [("m",), ("c", "r", "s")]
    assert fmt.levels == (Uncompressed(), Compressed(16))
    bound = fmt.bind(4)
    assert bound.order == ((0,), (1, 2, 3))
    assert not fmt.bound
    assert bound.bound


def test_every_level():
    fmt = Format("U C C(5) S S(3) B R(4)")
    assert fmt.levels == (
        Uncompressed(),
        Compressed(),
        Compressed(5),
        Singleton(),
        Singleton(3),
        Bitmask(),
        RunLength(4),
    )


def test_brackets_give_the_order_of_the_axes():
    assert Format("[m,c] c:U m:C").bind(2).order == ((1,), (0,))
    assert Format("c:U m:C").bind(2).order == ((0,), (1,))


@pytest.mark.parametrize(
    ("name", "ndim", "written"),
    [
        ("dense", 3, "U U U"),
        ("CSR", 1, "C"),
        ("CSR", 2, "U C"),
        ("CSR", 4, "0:U 1*2*3:C"),
        ("CSC", 2, "1:U 0:C"),
        ("CSC", 4, "1*2*3:U 0:C"),
        ("DCSR", 2, "C C"),
        ("DCSC", 2, "1:C 0:C"),
        ("COO", 1, "C"),
        ("COO", 3, "C S S"),
        ("CSF", 3, "C C C"),
        ("bitmask", 1, "B"),
        ("bitmask", 2, "U B"),
        ("bitmask", 4, "0:U 1*2*3:B"),
        ("RLE(5)", 1, "R(5)"),
        ("rle(5)", 4, "0:U 1*2*3:R(5)"),
        ("csr", 2, "U C"),
    ],
)
def test_names(name, ndim, written):
    assert str(Format(name).bind(ndim)) == written
    assert Format(name).bind(ndim) == Format(written).bind(ndim)


def test_labels_are_the_shortest_name():
    assert Format("m:U c*r*s:C").bind(4).label == "CSR"
    assert Format("m:U c*r*s:C(16)").bind(4).label == "0:U 1*2*3:C(16)"
    assert Format("m:U c:R(4)").bind(2).label == "RLE(4)"
    assert Format("C").bind(1).label == "C"
    assert Format("m:U c:C").label == "m:U c:C"


@pytest.mark.parametrize("name", [*NAMED, "RLE(3)"])
@pytest.mark.parametrize("ndim", [0, 1, 2, 3, 5])
def test_named_formats_print_and_parse(name, ndim):
    assert Format(str(Format(name))) == Format(name)
    bound = Format(name).bind(ndim)
    assert Format(str(bound)).bind(ndim) == bound
    assert bound.bind(ndim) == bound
    if ndim > 1:
        assert Format(bound.label).bind(ndim) == bound


@st.composite
def texts(draw):
    names = draw(st.permutations(["m", "c", "r", "s", "U", "C0"]))[: draw(st.integers(1, 6))]
    ranks = []
    for name in names:
        if ranks and draw(st.booleans()):
            ranks[-1].append(name)
        else:
            ranks.append([name])
    levels = st.sampled_from(["U", "C", "C(12)", "B", "R(3)"])
    body = " ".join("*".join(axes) + ":" + draw(levels) for axes in ranks)
    if draw(st.booleans()):
        return f"[{','.join(draw(st.permutations(names)))}] {body}", len(names)
    return body, len(names)


@given(texts())
def test_print_and_parse(case):
    text, ndim = case
    fmt = Format(text)
    assert Format(str(fmt)) == fmt
    assert hash(Format(str(fmt))) == hash(fmt)
    bound = fmt.bind(ndim)
    assert Format(str(bound)) == bound
    assert sorted(a for axes in bound.order for a in axes) == list(range(ndim))


@given(st.text(alphabet="UCBRSmc012:*()[],/ ", max_size=30))
def test_any_text_is_a_format_or_a_format_error(text):
    try:
        fmt = Format(text)
    except FormatError:
        return
    assert Format(str(fmt)) == fmt


def test_formats_copy_and_pickle():
    fmt = Format("[m,c] c:U m:C(7)")
    pickled = pickle.dumps(fmt)
    assert pickle.loads(pickled) == fmt == copy.deepcopy(fmt) == Format(fmt)
    assert hash(pickle.loads(pickled)) == hash(fmt) == hash(Format(fmt))
    assert pickle.dumps(fmt) == pickled  # a hash of text is another in each process
    with pytest.raises(AttributeError):
        fmt.name = "CSR"


def test_levels_check_their_fields():
    with pytest.raises(FormatError, match=r"R\(0\): expected a run field of 1 to 32 bits, found 0"):
        RunLength(0)
    with pytest.raises(FormatError, match=r"C\(65\): expected a field of 0 to 64 bits, found 65"):
        Compressed(65)


# ---- refusals -----------------------------------------------------------------------------


def test_an_axis_stored_twice():
    assert refusal("m:U c*m:C") == "axis m is stored twice\n  m:U c*m:C\n  ^     ^"


def test_a_level_that_is_none():
    assert refusal("m:U c:c") == (
        "'c' is no level; expected one of U, C, C(bits), B, R(bits), S, S(bits), H(G:H)\n"
        "  m:U c:c\n"
        "        ^\n"
        "Levels are capital letters: C."
    )


def test_a_name_that_is_none():
    assert refusal("bitmsk").splitlines()[1:] == [
        "  bitmsk",
        "  ^^^^^^",
        "Formats by name: dense, CSR, CSC, DCSR, DCSC, COO, CSF, bitmask, RLE(bits), "
        "BSR(rows,columns), G:H.",
    ]


def test_both_parts_of_a_split_axis_are_stored_in_blocks_of_one_size():
    assert refusal("m:U k/128:C") == (
        "k/128 is a part of axis k: expected k/128 and k%128, once each, found k/128\n"
        "  m:U k/128:C\n"
        "      ^^^^^^^"
    )
    assert "found k/4, k%2\n" in refusal("k/4:C m:U k%2:U")
    assert "found 0/4, 0" in refusal("0/4:C 0:U")
    assert "axis k is stored twice" in refusal("k/4:C k/4:U k%4:U")
    assert "expected the size of a block, found '0'" in refusal("k/0:C k%0:U")
    assert "expected the size of a block, found ':'" in refusal("k/:C k%2:U")


def test_a_singleton_needs_coordinates_above():
    assert refusal("m:U c:S") == (
        "S keeps one coordinate for each entry of a C or S directly above it, "
        "but stands below U\n"
        "  m:U c:S\n"
        "      ^^^\n"
        "Write C for this rank, or C for the one above (COO is 'C S')."
    )
    assert "but is outermost" in refusal("S")


def test_axes_that_do_not_fit():
    assert refusal("m:U c:C", 3) == (
        "format 'm:U c:C' stores 2 axes, the tensor has 3 axes\n"
        "Name each axis of the tensor once; '*' flattens several into one rank."
    )
    assert refusal("0:U 2:C").startswith("expected each of the axes 0 .. 1 once, found 0, 2")
    assert refusal("[m,c] c:U") == (
        "axis m is listed but stored nowhere\n  [m,c] c:U\n   ^\nGive it a rank."
    )
    assert refusal("[m] c:U m:C").startswith("axis c is not in the brackets\n")
    assert refusal("m:U C").startswith("either every rank names its axes or none does\n")
    assert refusal("m:U 1:C").startswith("axes are all names or all numbers\n")


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ("", "expected a storage rank such as 'm:U', found the end of the format"),
        ("R", "R needs the bits of its run field"),
        ("RLE", "RLE needs the bits of its run field"),
        ("U(3)", "U has no field width"),
        ("CSR(3)", "CSR takes no field width"),
        ("CSR m:U", "CSR' is no level"),
        ("m:C(", "expected the bits of C's field, found the end"),
        ("m:C(4", "expected ')' after the bits of a field, found the end"),
        ("m:R(40)", "R(40): expected a run field of 1 to 32 bits, found 40"),
        ("m;U", "';' is no part of a format"),
        ("m:C(12345678901)", "a number in a format has at most 9 digits"),
        ("m:U " * 1000, "a format has at most 2000 characters, found 4000"),
    ],
)
def test_other_text_that_is_no_format(spec, start):
    assert start in refusal(spec)


def test_other_things_than_text():
    assert refusal(3) == "a format is text such as 'CSR' or 'm:U c:C', found int"
    with pytest.raises(FormatError, match="format 'CSR' is not bound to axes yet"):
        _ = Format("CSR").order
