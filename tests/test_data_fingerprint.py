"""What a run was trained on: equal wherever it lies, and every change is told as what it is."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab import data
from genlab.condition import Spec
from genlab.data import fingerprint as prints
from genlab.data.classes import numbers_by_name, require_labels
from genlab.data.fingerprint import difference, fingerprint
from genlab.errors import UserError
from tests.data_sets import class_folders, fill, of_folder, section, told

ALL = {"train_split": "train", "eval_split": "train"}


def of(root, **changes):
    """As a checkpoint gives it back."""
    return json.loads(json.dumps(fingerprint(data.load(of_folder(root, **(ALL | changes))))))


@pytest.fixture
def root(tmp_path):
    return class_folders(tmp_path / "set", "ant", "bee", "cow", count=20)


def test_a_set_is_the_same_wherever_it_lies(root, tmp_path):
    shutil.copytree(root, tmp_path / "far" / "away")
    assert difference(of(root), of(tmp_path / "far" / "away")) is None


def test_a_set_that_only_grew_is_told_from_one_that_changed(root):
    before = of(root)
    fill(root, {f"bee/new{i}.png": i for i in range(15)})
    grown = difference(before, of(root))
    assert grown.grew and "train grew from" in grown.words
    (root / "ant" / "3.png").unlink()
    changed = difference(before, of(root))
    assert not changed.grew and "1 gone" in changed.words


def test_a_renamed_file_is_gone_and_new(root):
    before = of(root)
    (root / "ant" / "3.png").rename(root / "ant" / "three.png")
    found = difference(before, of(root))
    assert not found.grew and "1 gone" in found.words


def test_a_file_of_another_class_is_another_file(root):
    before = of(root)
    (root / "ant" / "3.png").rename(root / "bee" / "ant3.png")
    assert not difference(before, of(root)).grew


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (["a", "b"], ["b", "a"], "classes are in another order: 'a' was 0 and is 1"),
        (["a", "b"], ["a", "c"], "classes have other names: 'b' is now 'c'"),
        (["a", "b"], ["a", "b", "c"], "there were 2 classes and are 3, with 'c'"),
        (["a", "b"], ["b"], "there were 2 classes and are 1, without 'a'"),
    ],
)
def test_classes_that_differ_are_told_as_permuted_renamed_gone_or_new(root, then, now, told):
    found = of(root)
    change = difference(found | {"classes": then}, found | {"classes": now})
    assert change.words == told and not change.grew


def test_a_new_class_is_a_change_even_if_all_files_are_there(root):
    before = of(root)
    fill(root, {"dog/0.png": 200})
    found = difference(before, of(root))
    assert not found.grew and "with 'dog'" in found.words and "grew" in found.words


def test_held_out_images_that_are_now_trained_on_are_counted(root):
    before = of(root, train_split="train[:80%]", valid_split="train[80%:]")
    after = of(root, train_split="train[20%:]", valid_split="train[:20%]")
    assert "12 images of valid are now in train" in difference(before, after).words


def test_shape_label_and_source_are_part_of_it(root, tmp_path):
    found = of(root)
    assert "shape was [4, 4, 1]" in difference(found, of(root, channels=3)).words
    np.save(tmp_path / "a.npy", np.full((20, 4, 4, 1), 9, np.uint8))
    other = fingerprint(data.load(section(source=f"npz:{tmp_path}/a.npy", eval_split="train")))
    assert "source was 'folder' and is 'npz'" in difference(found, other).words


def test_arrays_are_told_by_their_contents(tmp_path):
    values, taken = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), np.uint8), []
    for name, changed, save in [
        ("a", 0, np.savez), ("b", 0, np.savez), ("c", 1, np.savez), ("d", 0, np.savez_compressed),
    ]:  # fmt: skip
        values[7, 0, 0, 0] += changed
        save(tmp_path / f"{name}.npz", image=values - np.uint8(0), label=np.arange(20))
        values[7, 0, 0, 0] -= changed
        config = section(source=f"npz:{tmp_path}/{name}.npz", eval_split="train")
        taken.append(fingerprint(data.load(config)))
    assert difference(taken[0], taken[1]) is None and difference(taken[0], taken[3]) is None
    found = difference(taken[0], taken[2])
    assert not found.grew and "train has other contents" in found.words


def test_digits_are_told_by_their_split():
    one, two = (fingerprint(data.load(section(train_split=f"train[:{n}]"))) for n in (100, 110))
    assert difference(one, dict(one)) is None
    assert "train had 90 images and has 99" in difference(one, two).words


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=50))
def test_packed_names_come_back(hashes):
    every = np.sort(np.array(hashes, np.uint64))
    np.testing.assert_array_equal(prints._unpacked(prints._packed(every)), every >> np.uint64(32))


def test_the_names_of_many_files_are_small_in_a_checkpoint():
    every = np.sort(np.random.default_rng(0).integers(0, 2**64, 200_000, np.uint64))
    assert len(prints._packed(every)) < 3.2 * 200_000


def test_evaluation_classes_are_matched_by_name(tmp_path):
    """Fewer classes in another order: each image keeps the number that the model gave its class."""
    class_folders(tmp_path / "test", "cow", "ant")
    split = data.load(section(source=f"folder:{tmp_path}")).test
    assert set(told(split).values()) == {0, 1}
    matched = split.matched(("bee", "cow", "ant"))
    assert matched.spec.classes == ("bee", "cow", "ant")
    assert told(matched) == {0: 1, 1: 1, 2: 1, 20: 2, 21: 2, 22: 2}
    assert split.matched(("ant", "cow")) is split
    with pytest.raises(UserError, match="does not know 'cow'; its classes are 'ant', 'dog'"):
        split.matched(("ant", "dog"))


@given(st.permutations("abcdefg"))
def test_numbers_by_name_invert_a_permutation(names):
    numbers = numbers_by_name(names, "abcdefg")
    assert ["abcdefg"[i] for i in numbers] == list(names)


def test_labels_are_required_where_they_are_needed():
    require_labels(Spec((4, 4, 1), ("a", "b")), "accuracy")
    with pytest.raises(UserError, match="accuracy needs classes, but the images have no labels"):
        require_labels(Spec((4, 4, 1)), "accuracy")
    with pytest.raises(UserError, match=r"the images have attributes \('hat'\)"):
        require_labels(Spec((4, 4, 1), attributes=("hat",)), "accuracy")
