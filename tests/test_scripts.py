"""What scripts ask of genlab beside restoring: to train."""

from __future__ import annotations

import numpy as np
import pytest

import genlab
from genlab.errors import UserError
from tests.conftest import tiny_config


def test_a_script_trains_a_config_and_gets_the_model(tmp_path):
    """The same as a restored one; asked again, it is there already; figures only if wanted."""
    config, workdir = tiny_config(), str(tmp_path / "run")
    config.train.figures = False
    model = genlab.train(config, workdir)
    assert model.step == config.train.steps and not (tmp_path / "run" / "figures").exists()
    images = np.zeros((2, *model.spec.shape), np.uint8)
    for other in (genlab.restore(workdir), genlab.train(config, workdir)):
        np.testing.assert_array_equal(other.log_prob(images), model.log_prob(images))
    config.train.steps = 0
    with pytest.raises(UserError, match=r"train\.steps"):
        genlab.train(config, str(tmp_path / "other"))
