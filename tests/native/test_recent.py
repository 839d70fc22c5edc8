from zeroskip.native.recent import Recent


def test_the_oldest_go_first_and_what_is_kept_stays():
    table = Recent(2)
    assert [table.keep(k, k.upper()) for k in "aba"] == ["A", "B", "A"]
    assert table.keep("a", "other") == "A"
    assert table.keep("c", "C") == "C"
    assert table == {"b": "B", "c": "C"}
