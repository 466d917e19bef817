"""genlab: image generative models in JAX. `genlab.restore(workdir)` gives a trained model.

The public interface for scripts; all else may move:

    restore(workdir, step="latest", weights="ema") -> Model
    Model.sample, complete, log_prob, encode, decode, reconstruct, denoise, score
    Model.config, step, task, spec, state, classes
    UserError    what is wrong with an input, in one line
"""

from genlab.errors import UserError
from genlab.model import Model, restore
from genlab.version import __version__

__all__ = ["Model", "UserError", "restore", "__version__"]
