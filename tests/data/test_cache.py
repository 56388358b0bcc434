import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdctl.data.cache import Cache, Share, pack, unpack
from mdctl.spec.errors import DataError

ITEMS = {f"{number:064x}": number for number in range(7)}


def compute(numbers: Sequence[int]) -> list[bytes]:
    return [bytes([number]) * 9 for number in numbers]


def complete(cache: Cache) -> bool:
    return [cache.read(name) for name in ITEMS] == compute(list(ITEMS.values()))


def test_an_entry_is_computed_once(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path))
    cache.fill("computing", ITEMS, compute)
    assert complete(cache)
    cache.fill("computing", ITEMS, lambda numbers: pytest.fail(f"computed {numbers}") if numbers else [])


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    Cache(str(tmp_path)).fill("computing", ITEMS, compute)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == set(ITEMS)


@pytest.mark.parametrize("damage", ["truncated", "changed", "emptied"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache, name = Cache(str(tmp_path)), next(iter(ITEMS))
    cache.fill("computing", ITEMS, compute)
    (path,) = tmp_path.rglob(name)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[:-1], "changed": whole[:-1] + b"!", "emptied": b""}[damage])
    with caplog.at_level(logging.WARNING):
        cache.fill("computing", ITEMS, compute)
    assert complete(cache)
    assert [record.getMessage() for record in caplog.records] == [f"{path} is damaged and will be computed again"]


def test_hosts_share_the_work_of_one_folder(tmp_path: Path) -> None:
    barrier = threading.Barrier(3, timeout=60)
    computed: list[int] = []

    def wait() -> None:
        barrier.wait()

    def host(number: int) -> None:
        def record(numbers: Sequence[int]) -> list[bytes]:
            computed.extend(numbers)
            return compute(numbers)

        Cache(str(tmp_path), Share(number, 3, wait)).fill("computing", ITEMS, record)

    hosts = [threading.Thread(target=host, args=(number,)) for number in range(3)]
    for thread in hosts:
        thread.start()
    for thread in hosts:
        thread.join()
    assert sorted(computed) == list(ITEMS.values())
    assert complete(Cache(str(tmp_path)))


def test_every_piece_of_work_is_told_of(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cache = Cache(str(tmp_path), Share(1, 2, tell=lambda *piece: told.append(piece)))
    cache.write(list(ITEMS)[1], compute([1])[0])
    told_before_writing = []

    def watched(numbers: Sequence[int]) -> Iterator[bytes]:
        for number in numbers:
            told_before_writing.append(told[-1])
            yield from compute([number])

    cache.fill("computing", ITEMS, watched)
    assert told == [
        *(("looking up entry", done, 3) for done in range(4)),
        *(("computing", done, 2) for done in range(3)),
        *(("looking up entry", done, 4) for done in range(5)),
        *(("computing", done, 4) for done in range(5)),
    ]
    assert [done for _, done, _ in told_before_writing] == [0, 1, 0, 1, 2, 3]


def test_nothing_is_told_of_no_work() -> None:
    assert list(Share(tell=lambda *piece: pytest.fail(f"told of {piece}")).over("computing", [], 0)) == []


def test_a_host_with_a_folder_of_its_own_computes_all(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path), Share(1, 3))
    cache.fill("computing", ITEMS, compute)
    assert complete(cache)


def test_a_lost_entry_stops_the_job(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was lost or damaged while the job ran"):
        Cache(str(tmp_path)).entry("ab" * 32)


def test_a_cache_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be read"):
        Cache(str(tmp_path / "file")).fill("computing", ITEMS, compute)


@given(num_rows=st.integers(1, 9), num_kept=st.integers(0, 9), seed=st.integers(0, 99))
def test_packing_loses_nothing(num_rows: int, num_kept: int, seed: int) -> None:
    normal = np.random.default_rng(seed)
    arrays = {
        "text": normal.standard_normal((num_rows, 3)).astype(np.float32),
        "latents": normal.standard_normal((2, 2, 3, 4)).astype(np.float32),
        "pooled": normal.standard_normal(5).astype(np.float32),
    }
    arrays["text"][num_kept:] = 0
    restored = unpack(pack(arrays))
    assert restored.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(restored[name], array, strict=True)


def test_padding_takes_no_space() -> None:
    text = np.zeros((512, 64), np.float32)
    text[:10] = 1
    assert len(pack({"text": text})) < 10 * 64 * 4 + 1000
