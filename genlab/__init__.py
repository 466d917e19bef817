"""genlab: image generative models in JAX. `genlab.restore(workdir)` gives a trained model.

The public interface for scripts; all else may move:

    restore(workdir, step="latest", weights="ema") -> Model
    mixture(["runs/a", "runs/b:500"]) -> Model    the mean of probabilities at each pixel
    pretrained("name") -> Model, pretrained() -> what there is
    train(config, workdir) -> Model
    judge({"name": images}, real, training) -> a table of how sets compare with real images
    Model.sample, complete, log_prob, encode, decode, reconstruct, denoise, score
    Model.config, step, task, spec, state, classes
    UserError    what is wrong with an input, in one line
"""

from genlab.errors import UserError
from genlab.judging.judge import judge
from genlab.model import Model, restore
from genlab.named import mixture, pretrained, train
from genlab.version import __version__

__all__ = [
    "Model",
    "UserError",
    "judge",
    "mixture",
    "pretrained",
    "restore",
    "train",
    "__version__",
]
