"""Whatever a file holds, a reader gives its contents or an error of mull's own, in one line that names the file."""

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mull.files.logs
from mull.allocate import policy_file, prior
from mull.bank import open_bank
from mull.config import settings as config
from mull.cost.flops import read_config
from mull.errors import FileFormatError, MullError
from mull.files.logs import formats
from mull.files.records import read as read_records
from mull.files.tables import read_rows
from mull.lab import exchange, sources
from mull.run import trace
from mull.spec import MODELS, TASKS, VERIFIERS, build

SOURCE = Path(mull.files.logs.__file__).parent
NAMES = sorted(
    {name for path in SOURCE.glob("*.py") for name in re.findall(r'"([a-zA-Z_]{2,24})"', path.read_text())}
    | {
        "prompt",
        "question",
        "answer",
        "samples",
        "text",
        "correct",
        "score",
        "model",
        "sweep",
        "outcomes",
        "cost",
        "asked",
        "draw",
        "verdict",
        "n_samples",
        "n_correct",
        "draws",
        "stopped",
        "results",
        "covered",
    }
)
"""The words that the readers look for, so that values of every kind stand where they look."""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([10**30, -(10**400), 2**63, 1e308, -0.5, float("inf"), float("nan")])
    | st.sampled_from(["", "1", "1.5", "nan", "1e999", "yes", "[1", "\x00", "\ud800", "\u202e", "9" * 5000, "²"])
    | st.sampled_from(NAMES)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
)
MARKED = st.sampled_from(formats.FORMATS).flatmap(
    lambda one: st.tuples(
        st.fixed_dictionaries(dict.fromkeys(sorted(one.fields | one.one_of), VALUES)),
        st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    ).map(lambda parts: {**parts[1], **parts[0]})
)
"""Objects with the fields that mark a log of some tool."""
ROWS = MARKED | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)


def dumped(value: object) -> str:
    # Python refuses to write a whole number of thousands of digits, and reads none: it stands for itself.
    return json.dumps(value).replace("Infinity", "1e999")


JSONL = st.lists(ROWS, max_size=4).map(lambda rows: "".join(dumped(row) + "\n" for row in rows).encode())
JSON = (ROWS | st.lists(ROWS, max_size=4) | VALUES).map(lambda value: dumped(value).encode())
CSV = st.lists(st.lists(st.sampled_from(NAMES) | st.text(max_size=5), max_size=5), max_size=4).map(
    lambda rows: "\n".join(",".join(cells) for cells in rows).encode(errors="replace")
)
ODD = st.sampled_from(
    [
        b"[" * 100_000,
        b'{"prompt":' * 5_000,
        b'{"prompt": ' + b"1" * 6_000 + b"}\n",
        b'{"prompt": "q", "prompt": "r", "samples": [{"text": "a", "text": "b"}]}\n',
        b'{"$ref": "#", "prompt": {"$ref": "#/prompt"}}\n',
        b"\x00" * 300,
        b'{"prompt": "a\x00b"}\n',
        b"\xff\xfe\x00\x01",
        b"\xef\xbb\xbf",
        b"PAR1" + b"\x00" * 40 + b"PAR1",
        b"\x28\xb5\x2f\xfd" + b"garbage",
        b"PK\x03\x04" + b"\x00" * 60,
        b"PK\x05\x06" + b"\x00" * 18,
        gzip.compress(b'{"prompt": "q"}\n')[:-6],
        gzip.compress(b'{"prompt": "q"}\n')[:14] + b"\x00\x01\x02",
        b"\x1f\x8b\x08\x00",
        b"SQLite format 3\x00" + b"\x01" * 84,
        b"x" * 300_000,
        b"a,b\n" + b'"' + b"x" * 200_000,
    ]
)
BYTES = JSONL | JSON | CSV | ODD | st.binary(max_size=64) | JSONL.map(gzip.compress)
TOML = st.recursive(
    st.sampled_from(["1", '"x"', "1.5", "true", "nan", "inf", "1979-05-27", "9" * 5000, '"\\u0000"', "[]", "{}"]),
    lambda inner: st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
)


def toml_of(names: list[str], tables: list[str]) -> st.SearchStrategy[bytes]:
    lines = st.lists(st.tuples(st.sampled_from(names), TOML), max_size=8, unique_by=lambda line: line[0])
    body = lines.map(lambda told: "\n".join(f"{name} = {value}" for name, value in told))
    blocks = st.lists(st.tuples(st.sampled_from(tables), body), max_size=4)
    whole = blocks.map(lambda told: "\n".join(f"{head}\n{text}" for head, text in told).encode())
    return whole | st.sampled_from([b"a = " + b"[" * 50_000, b"a = " + b"1" * 6_000, b"\xff", b"\x00", b"a.b = {"])


def told_in_one_line(path: Path, read: Callable[[Path], Any], content: bytes) -> None:
    """Reads a file with this content, and holds what is raised against the rule."""
    path.write_bytes(content)
    try:
        read(path)
    except MullError as error:
        told = str(error)
    else:
        return
    assert len(told) < 3_000
    assert str(path) in told


READERS: dict[str, Callable[[Path], Any]] = {
    "source": sources.read_source,
    "records": read_records,
    "answers": sources.read_answers,
    "trace": trace.read,
    "policy": policy_file.read,
    "prior": prior.read,
    "architecture": read_config,
    "recorded": lambda path: build("model", MODELS, f"recorded:({path})", seed=0),
    "file": lambda path: build("task", TASKS, f"file:({path})"),
    "humaneval": lambda path: list(build("task", TASKS, f"humaneval:({path})").problems()),
    "mbpp": lambda path: list(build("task", TASKS, f"mbpp:({path})").problems()),
    "stdio": lambda path: list(build("task", TASKS, f"stdio:({path})").problems()),
    "calibrated": lambda path: build("verifier", VERIFIERS, f"calibrated:of=countdown,file=({path})"),
}
QUICK = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("reader", READERS)
@QUICK
@given(content=BYTES, suffix=st.sampled_from([".jsonl", ".json", ".csv", ".eval", ".parquet", ".jsonl.gz", ".txt"]))
def test_any_file_is_read_or_refused(tmp_path: Path, reader: str, suffix: str, content: bytes) -> None:
    told_in_one_line(tmp_path / f"x{suffix}", READERS[reader], content)


@pytest.mark.parametrize("one", formats.FORMATS, ids=lambda one: f"{one.tool}-{one.suffixes[0]}")
@QUICK
@given(data=st.data())
def test_any_log_is_read_or_refused(tmp_path: Path, one: formats.Format, data: st.DataObject) -> None:
    if one.suffixes[0] == ".parquet":
        pytest.skip("Parquet has columns of one type")
    marked = st.fixed_dictionaries(dict.fromkeys(sorted(one.fields | one.one_of), VALUES))
    more = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
    rows = data.draw(
        st.lists(st.tuples(more, marked).map(lambda parts: {**parts[0], **parts[1]}), min_size=1, max_size=3)
    )
    is_lines = one.suffixes[0] == ".jsonl"
    text = "".join(dumped(row) + "\n" for row in rows) if is_lines else dumped(rows[0])
    told_in_one_line(tmp_path / f"x{'.jsonl' if is_lines else '.json'}", formats.read, text.encode())


@QUICK
@given(members=st.dictionaries(st.sampled_from(["header.json", "samples/1.json", "x"]), JSON | ODD, max_size=3))
def test_any_archive_is_read_or_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(tmp_path / "x.eval", "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    told_in_one_line(tmp_path / "x.eval", formats.read, (tmp_path / "x.eval").read_bytes())


@QUICK
@given(content=BYTES)
def test_any_file_is_imported_or_refused(tmp_path: Path, content: bytes) -> None:
    with open_bank(str(tmp_path / "bank.db")) as bank:
        told_in_one_line(tmp_path / "x.jsonl", lambda path: exchange.take_in(bank, path, exchange.Filing()), content)


MODELS_OF = ["[models.a]", "[models]", "[verifiers]", "[judges]", "[x]", "[[models]]", ""]


@QUICK
@given(content=toml_of(["base_url", "model", "concurrency", "extra_body", "api_key_env", "x"], MODELS_OF))
def test_any_configuration_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    told_in_one_line(tmp_path / "mull.toml", config.read, content)


POLICY = [
    "format",
    "version",
    "unit",
    "pilot",
    "edges",
    "bins",
    "plans",
    "from",
    "difficulty",
    "model",
    "tasks",
    "kinds",
    "temperature",
    "problems",
    "draws",
    "date",
    "names",
    "means",
    "scales",
    "weights",
    "offset",
    "calibration",
]
HEADS = ["[from]", "[difficulty]", "[[bins]]", "[[plans]]", "[about]", "[calibration]", ""]


@pytest.mark.parametrize("module", [policy_file, prior], ids=["policy", "prior"])
@QUICK
@given(content=toml_of(POLICY, HEADS))
def test_any_learnt_file_is_read_or_refused(tmp_path: Path, module: Any, content: bytes) -> None:
    head = f'format = "{module.FORMAT}"\nversion = {getattr(module, "VERSION", 1)}\n'.encode()
    told_in_one_line(tmp_path / "x.toml", module.read, head + content)


@pytest.mark.parametrize(
    "first",
    [
        {"env": "x", "task": {}, "traces": []},
        {"custom_id": "a", "response": {"body": {"choices": []}}},
        {"testIdx": 0, "promptIdx": 0, "success": True},
    ],
)
def test_a_log_whose_second_row_lacks_a_field_is_refused(tmp_path: Path, first: dict[str, Any]) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(first) + '\n{"x": 1}\n')
    with pytest.raises(FileFormatError):
        formats.read(path)


def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    line = b'{"answer": "x", "samples": ["x"], "prompt": "' + b"a" * (1 << 20) + b'"}\n'
    packed = gzip.compress(line * 70)
    assert len(packed) < 1 << 20
    (tmp_path / "x.jsonl").write_bytes(packed)
    for read in (read_records, sources.read_source):
        with pytest.raises(FileFormatError, match=r"line \d+: unpacks to over .* bytes"):
            read(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a" * (1 << 20)] * 70).dictionary_encode(),  # one text that all rows share
        pa.array(["a" * (1 << 20) + str(i) for i in range(70)]),
        pa.nulls(70 << 20),
        pa.ListArray.from_arrays([0, 70 << 20], pa.nulls(70 << 20)),
    ],
    ids=["shared", "packed", "nulls", "nested"],
)
def test_a_small_parquet_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"prompt": column}), path, compression="zstd")
    assert path.stat().st_size < 1 << 18
    with pytest.raises(FileFormatError, match=r"x.parquet.*: unpacks to over .* bytes"):
        list(read_rows(path))


def test_a_small_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.eval", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("header.json", b" " * (70 << 20))
    with pytest.raises(FileFormatError, match=r"x.eval: .* bytes that unpack to"):
        formats.read(tmp_path / "x.eval")


def test_a_long_value_is_cut_in_a_message() -> None:
    told = str(FileFormatError("x.jsonl", 2, f"the reward {'9' * 5_000!r} is not a number"))
    assert len(told) < 1_100
    assert told.startswith("x.jsonl, line 2: the reward '999")
    assert told.endswith("999' is not a number")
