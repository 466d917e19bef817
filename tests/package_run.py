"""Uses an installed genlab as a script of a user's would: run by `make test-package`.

python tests/package_run.py <workdir of a trained autoregressive model>
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

import jax
import numpy as np

import genlab

CHECKOUT = Path(__file__).resolve().parents[1]


def without_tensorflow() -> None:
    assert importlib.util.find_spec("tensorflow") is None, "tensorflow is installed here"
    assert importlib.util.find_spec("tensorboard") is None, "tensorboard is installed here"


def installed_whole() -> None:
    """From the wheel, with every module of the checkout, types and licence, and nothing else."""
    package = Path(genlab.__file__).parent
    assert not package.is_relative_to(CHECKOUT / "genlab"), "this is the checkout, not the wheel"
    modules = {str(p.relative_to(package)) for p in package.rglob("*.py")}
    checkout = CHECKOUT / "genlab"
    assert modules == {str(p.relative_to(checkout)) for p in checkout.rglob("*.py")}
    assert (package / "py.typed").exists()
    assert metadata.version("genlab") == genlab.__version__
    assert metadata.metadata("genlab")["License-Expression"] == "Apache-2.0"
    files = {str(f) for f in metadata.files("genlab") or []}
    assert any(f.endswith("licenses/LICENSE") for f in files)
    assert {f.split("/")[0].partition("-")[0] for f in files} == {"genlab"}


def samples_and_likelihoods(workdir: str) -> None:
    model = genlab.restore(workdir)
    images = model.sample(jax.random.key(0), 4)
    assert images.shape == (4, *model.task.shape) and images.dtype == np.uint8
    log_prob = model.log_prob(images)
    assert log_prob.shape == (4,) and np.isfinite(log_prob).all() and (log_prob < 0.0).all()


if __name__ == "__main__":
    without_tensorflow()
    installed_whole()
    samples_and_likelihoods(sys.argv[1])
    assert "tensorflow" not in sys.modules
    print(f"genlab {genlab.__version__}, installed without TensorFlow: restores, samples, scores")
