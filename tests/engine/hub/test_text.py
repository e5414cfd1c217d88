"""Words of strangers are bounded, plain, and never a token."""

from engine.hub.text import clean, clean_page, redact


def test_a_line_is_bounded_and_plain():
    assert clean("a\x1b[31mb\nc\u202ed") == "a\ufffd[31mb\ufffdc\ufffdd"
    assert clean("x" * 300, 10) == "x" * 10 + "…"
    assert clean(None) == clean(7) == ""


def test_a_cleaned_name_is_never_a_proper_one():
    assert clean("adapter_config.json\x00") != "adapter_config.json"


def test_a_page_keeps_its_lines():
    assert clean_page("# a\r\n\tb\x07\u202e\x00", 100) == "# a\n\tb"
    assert clean_page("👩‍🔬 é 漢", 100) == "👩‍🔬 é 漢"


def test_what_could_be_a_token_is_taken_out():
    said = redact("header 'Bearer abc.def' and hf_AbCd1234 in https://x/?t=hf_zzzz9999")
    assert said == "header 'Bearer <token>' and <token> in https://x/?t=<token>"
