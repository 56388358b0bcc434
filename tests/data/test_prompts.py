from pathlib import Path

import pytest

from mdctl.data.prompts import Prompt, read_prompts
from mdctl.spec.errors import DataError


def test_a_text_file_has_a_prompt_a_line(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n  a rabbit \n\n ein Häschen\n", encoding="utf-8")
    assert read_prompts(tmp_path / "prompts.txt") == (Prompt("a rabbit"), Prompt("ein Häschen"))


def test_json_lines_may_fix_seeds(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": "", "seed": 4294967295}\n')
    assert read_prompts(tmp_path / "prompts.jsonl") == (Prompt("a"), Prompt("", 2**32 - 1))


def test_json_lines_may_say_which_adapters_count(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b", "lora": {"ink": 1, "dots": -0.5}}\n')
    plain, adapted = read_prompts(tmp_path / "prompts.jsonl")
    assert plain.lora is None
    assert adapted.lora == {"ink": 1.0, "dots": -0.5}
    assert adapted.place.endswith("prompts.jsonl, line 2")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.txt", b" \n", "holds no prompts"),
        ("p.txt", b"a\xff", "byte 1 is not UTF-8"),
        ("p.jsonl", b"", "holds no prompts"),
        ("p.jsonl", b'\n"a"', "line 2: '\"a\"' is not a JSON object"),
        ("p.jsonl", b'{"prompt": 3}', "line 1: prompt is 3"),
        ("p.jsonl", b'{"seed": 3}', "line 1: prompt is None"),
        ("p.jsonl", b'{"prompt": "a", "sed": 1}', "line 1: 'sed' is unknown; the keys are prompt, seed and lora"),
        ("p.jsonl", b'{"prompt": "a", "seed": -1}', "seed is -1"),
        ("p.jsonl", b'{"prompt": "a", "lora": "ink"}', "line 1: lora is 'ink', but must be an object"),
        ("p.jsonl", b'{"prompt": "a"}\n{"prompt": "a", "lora": {"ink": "1"}}', "line 2: the scale of 'ink' is '1'"),
        ("p.jsonl", b'{"prompt": "a", "lora": {"ink": NaN}}', "the scale of 'ink' is nan, but must be a number up to"),
        ("p.jsonl", b'{"prompt": "a", "lora": {"ink": true}}', "the scale of 'ink' is True"),
        ("p.jsonl", b'{"prompt": "a", "seed": true}', "seed is True"),
        ("p.jsonl", b'{"prompt": "a", "seed": 4294967296}', "seed is 4294967296"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_prompts(tmp_path / name)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.txt cannot be read: No such file or directory"):
        read_prompts(tmp_path / "absent.txt")
