"""A run goes on with the data that it was trained on, or is told what differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genlab.errors import UserError
from genlab.training import loop
from genlab.workdir.checkpoint import Checkpoints


def picture(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path, config):
    """Two classes of twenty images, and a run trained on them for three steps."""
    root = tmp_path / "set"
    for name in ("cat", "dog"):
        for i in range(20):
            picture(root / name / f"{i}.png", 10 * i)
    config.data.update(source=f"folder:{root}", train_split="train", valid_split="")
    config.data.eval_split = "train"
    config.train.steps = 3
    loop.train(config, str(tmp_path / "run"))
    config.train.steps = 6
    return root


def test_changed_data_is_refused_and_data_that_grew_may_be_allowed(folder, tmp_path, config):
    workdir, aside = tmp_path / "run", tmp_path / "aside"
    about = Checkpoints(str(workdir)).about(3)
    assert about["classes"] == ["cat", "dog"] and about["versions"]["genlab"]
    shutil.copytree(folder, aside)
    (folder / "dog").rename(folder / "wolf")
    with pytest.raises(UserError, match=r"not what the run was trained on.*'dog' is now 'wolf'"):
        loop.train(config, str(workdir))
    shutil.rmtree(folder)
    shutil.copytree(aside, folder)
    (folder / "cat/3.png").unlink()
    with pytest.raises(UserError, match="1 gone and 0 new") as caught:
        loop.train(config, str(workdir))
    assert "\n" not in str(caught.value) and "changed=allow" not in str(caught.value)
    shutil.copy(aside / "cat/3.png", folder / "cat/3.png")
    for i in range(20, 30):
        picture(folder / "cat" / f"{i}.png", 5)
    with pytest.raises(UserError, match=r"grew .*data.changed=allow"):
        loop.train(config, str(workdir))
    config.data.changed = "allow"
    loop.train(config, str(workdir))
    assert Checkpoints(str(workdir)).choose("latest") == 6
