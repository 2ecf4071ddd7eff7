from __future__ import annotations

import multiprocessing
import warnings

import numpy as np
import pytest
import torch

from greenfront.errors import DataError
from greenfront.objectives.tasks import split
from greenfront.objectives.tasks.cache import MAPPED_BYTES, cached_arrays
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings

LARGE = np.arange(MAPPED_BYTES // 4 + 1, dtype=np.int32)
SMALL = np.array(["a", "ü"])


def both():
    return [("large", LARGE), ("small", SMALL)]


def unexpected():
    raise AssertionError("this must not be made again")


def kept(path, build=both):
    return cached_arrays(path / "key", ("large", "small"), build)


def is_mapped(array) -> bool:
    return isinstance(array.base, np.memmap)


def test_arrays_are_made_once(tmp_path):
    first = kept(tmp_path / "new")
    again = kept(tmp_path / "new", unexpected)
    for arrays in (first, again):
        np.testing.assert_array_equal(arrays["large"], LARGE)
        np.testing.assert_array_equal(arrays["small"], SMALL)
        assert is_mapped(arrays["large"])
        assert not is_mapped(arrays["small"])
        assert type(arrays["large"]) is np.ndarray
    files = sorted(file.name for file in (tmp_path / "new").glob("[!.]*"))
    assert files == ["key.large.npy", "key.small.npy"]


def test_files_are_those_of_numpy(tmp_path):
    kept(tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "key.large.npy"), LARGE)


def test_mapped_arrays_become_tensors_and_what_is_written_stays_with_the_writer(tmp_path):
    kept(tmp_path)
    mine, other = kept(tmp_path)["large"], kept(tmp_path)["large"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.from_numpy(mine).add_(1)
    np.testing.assert_array_equal(mine, LARGE + 1)
    np.testing.assert_array_equal(other, LARGE)
    np.testing.assert_array_equal(kept(tmp_path, unexpected)["large"], LARGE)


@pytest.mark.parametrize("name", ["large", "small"])
@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "longer", "gone"])
def test_damaged_files_are_made_again(tmp_path, name, damage):
    kept(tmp_path)
    file = tmp_path / f"key.{name}.npy"
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = bytes([whole[middle] ^ 1])
    content = {
        "empty": b"",
        "cut": whole[:-10],
        "flipped": whole[:middle] + flipped + whole[middle + 1 :],
        "other": b"no array" * 100,
        "longer": whole + b"x",
    }
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[damage])
    made = []
    again = kept(tmp_path, lambda: made.append(1) or both())
    assert made == [1]
    np.testing.assert_array_equal(again["large"], LARGE)
    np.testing.assert_array_equal(again["small"], SMALL)
    assert file.read_bytes() == whole


def test_what_fails_leaves_no_files(tmp_path):
    def fails():
        yield "large", LARGE
        raise DataError("the second cannot be made")

    with pytest.raises(DataError, match=r"^the second cannot be made$"):
        kept(tmp_path, fails)
    assert [file.name for file in tmp_path.glob("[!.]*")] == ["key.large.npy"]
    assert list(tmp_path.glob(".*.draft")) == []
    np.testing.assert_array_equal(kept(tmp_path)["small"], SMALL)


def test_objects_are_not_kept(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        cached_arrays(tmp_path / "key", ("a",), lambda: [("a", np.array([{}], dtype=object))])
    assert list(tmp_path.glob("*.npy")) == []


def _load_and_count(path, barrier, counts):
    def build():
        with counts.get_lock():
            counts.value += 1
        return both()

    barrier.wait()
    assert np.array_equal(kept(path, build)["large"], LARGE)


def test_of_several_processes_one_makes_the_arrays(tmp_path):
    context = multiprocessing.get_context("fork")
    barrier, counts = context.Barrier(4), context.Value("i", 0)
    workers = [
        context.Process(target=_load_and_count, args=(tmp_path, barrier, counts)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert counts.value == 1
    assert list(tmp_path.glob(".*.draft")) == []


class TestEncoded:
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        path = tmp_path_factory.mktemp("arrays") / "data.npz"
        pixels = np.random.default_rng(0).integers(0, 256, (9000, 3, 20, 20), dtype=np.uint8)
        np.savez(path, x=pixels, y=np.arange(9000) % 3)
        return TaskSettings(kind="arrays", path=str(path))

    def test_large_inputs_are_encoded_once_and_the_same_as_in_memory(
        self, settings, tmp_path, monkeypatch
    ):
        plain = split.assemble(read_raw(settings, cache=tmp_path), settings, seed=3)
        first = load_task(settings, cache=tmp_path, seed=3)
        monkeypatch.setattr("greenfront.objectives.tasks.raw.standardise", unexpected)
        again = load_task(settings, cache=tmp_path, seed=3)
        assert plain.facts == first.facts == again.facts
        for name in ("train", "validation", "test"):
            for task in (first, again):
                part, expected = getattr(task, name), getattr(plain, name)
                np.testing.assert_array_equal(part.inputs, expected.inputs)
                np.testing.assert_array_equal(part.labels, expected.labels)
                assert is_mapped(part.inputs) == (part.inputs.nbytes >= MAPPED_BYTES)
        assert is_mapped(again.train.inputs)

    def test_other_seeds_and_fractions_are_kept_apart(self, settings, tmp_path):
        one = load_task(settings, cache=tmp_path, seed=0)
        two = load_task(settings, cache=tmp_path, seed=1)
        assert not np.array_equal(one.train.inputs, two.train.inputs)

    def test_a_damaged_file_is_encoded_again(self, settings, tmp_path):
        first = load_task(settings, cache=tmp_path, seed=0)
        expected = first.train.inputs.copy()
        (file,) = tmp_path.glob("encoded-*.train.npy")
        content = bytearray(file.read_bytes())
        content[1000:1010] = bytes(10)
        file.unlink()
        file.write_bytes(content)
        again = load_task(settings, cache=tmp_path, seed=0)
        np.testing.assert_array_equal(again.train.inputs, expected)


def test_small_inputs_leave_nothing_behind(tmp_path):
    load_task(TaskSettings(kind="digits"), cache=tmp_path / "cache", seed=0)
    assert list(tmp_path.iterdir()) == []
