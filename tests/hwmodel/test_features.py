"""Gates and skips as text."""

from __future__ import annotations

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.features import Feature, parse_feature


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("skip I,F", Feature("skip", ("I", "F"), ("I", "F"))),
        ("skip F on I", Feature("skip", ("F",), ("I",))),
        ("skip F on I @PE", Feature("skip", ("F",), ("I",), "PE")),
        ("skip F on I @GLB", Feature("skip", ("F",), ("I",), "GLB")),
        ("gate F,O on I @MAC", Feature("gate", ("F", "O"), ("I",), "MAC")),
        ("gate  O  on I , F@PE", Feature("gate", ("O",), ("I", "F"), "PE")),
    ],
)
def test_a_feature_is_read_and_printed(text: str, feature: Feature) -> None:
    assert parse_feature(text) == feature
    assert parse_feature(str(feature)) == feature


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stall I", "expected skip or gate, found stall\n  stall I\n  ^^^^^\n"),
        ("", "expected skip or gate, found nothing"),
        ("skip", "expected the name of an operand, found the end\n  skip\n"),
        ("skip I F", "expected on, @ or the end, found F\n  skip I F\n         ^\n"),
        ("skip I,", "expected the name of an operand, found the end"),
        ("skip I,I", "I stands twice\n  skip I,I\n         ^\n"),
        ("gate F", "a gate needs the operand that it looks at"),
        ("gate F on", "expected the name of an operand, found the end"),
        ("skip F on I @3", "expected MAC, PE or the name of a level, found 3"),
        ("skip F on I @", "expected MAC, PE or the name of a level, found the end"),
    ],
)
def test_what_is_no_feature_is_refused_with_a_caret(text: str, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        parse_feature(text)
    assert message in str(caught.value)
    assert 'Write "skip I,F", "skip F on I @GLB" or "gate F,O on I @MAC".' in str(caught.value)
