"""A key is hidden in every form in which a server may repeat it, and nothing else of a reply is changed."""

import base64
import html
import json
import random
import string
import urllib.parse
from collections.abc import Callable

import pytest

from mull.wire.secret import Secret

KEY = 'sk-can"ary/4+f1\\d2c&<b'

FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda key: key,
    "json": json.dumps,
    "json in json": lambda key: json.dumps(json.dumps(key)),
    "json in json in json": lambda key: json.dumps(json.dumps({"said": json.dumps(key)})),
    "json with / escaped": lambda key: json.dumps(key).replace("/", "\\/"),
    "json with all escaped": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "json with all escaped, in capitals": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "json with some escaped": lambda key: "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in key),
    "javascript": lambda key: "".join(f"\\x{ord(c):02x}" for c in key),
    "url": lambda key: urllib.parse.quote(key, safe=""),
    "url in small letters": lambda key: "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in key),
    "url in url": lambda key: urllib.parse.quote(urllib.parse.quote(key, safe=""), safe=""),
    "path": urllib.parse.quote,
    "html": html.escape,
    "html by numbers": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "html by hexadecimal numbers": lambda key: "".join(f"&#x{ord(c):X};" for c in key),
    "html in html": lambda key: html.escape(html.escape(key)),
    "python": repr,
    "after a newline in json": lambda key: json.dumps(f"\n{key}"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_hidden_in_every_form(form: str) -> None:
    written = FORMS[form](KEY)
    assert Secret(KEY).scrub(f"said: {written} and".encode()).startswith(b"said: ")
    scrubbed = Secret(KEY).scrub(f"é: {written} and".encode()).decode()
    assert "***" in scrubbed
    assert not any(part in scrubbed for part in ("can", "ary", "d2c", r"\u0063", "%63", "&#99;", "&#x63;"))
    assert scrubbed.startswith("é: ")
    assert scrubbed.endswith(" and")
    assert Secret(KEY).scrub_text(f"é: {written} and") == scrubbed


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_what_holds_a_key_tells_nothing_of_it(encode: Callable[[bytes], bytes]) -> None:
    """At each of the three places that the key can have in a group of bytes, no four bytes of it can be decoded."""
    rng = random.Random(1)
    for n_before in range(7):
        key = "sk-" + "".join(rng.choices(string.ascii_letters + string.digits + "+/-_", k=30))
        raw = encode(b"Basic u:"[:n_before] + key.encode() + b"after")
        left = Secret(key).scrub(b'{"header": "' + raw + b'"}')
        assert b"***" in left
        for piece in left.removeprefix(b'{"header": "').removesuffix(b'"}').split(b"***"):
            for start in range(4):
                part = piece[start : start + (len(piece) - start) // 4 * 4]
                told = base64.b64decode(part.replace(b"-", b"+").replace(b"_", b"/"))
                assert not any(key[i : i + 4].encode() in told for i in range(len(key) - 3))


def test_a_reply_stays_json_and_says_the_rest() -> None:
    rng = random.Random(2)
    for _ in range(60):
        key = "".join(rng.choices(string.ascii_letters + string.digits + '"\\/+=-&%', k=rng.randint(8, 40)))
        told = {"a": f"\n{key}\t", "b": [key, 1.5, "é\\"], "c": "none of it"}
        scrubbed = json.loads(Secret(key).scrub(json.dumps(told).encode()))
        assert scrubbed["b"] == ["***", 1.5, "é\\"]
        assert scrubbed["c"] == "none of it"
        assert key not in scrubbed["a"]


@pytest.mark.parametrize("key", [None, "sk-another"])
def test_what_holds_no_key_is_as_it_was(key: str | None) -> None:
    raw = json.dumps({"text": "50 % of \\frac{1}{2} & \u00e9 \\u0041 %41 &#65;\n" * 50}).encode()
    assert Secret(key).scrub(raw) == raw
    assert Secret(key).scrub_text("é \\u0041 %41") == "é \\u0041 %41"
