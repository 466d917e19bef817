"""genlab: image generative models in JAX. `genlab.restore(workdir)` gives a trained model."""

from genlab.errors import UserError
from genlab.model import Model, restore
from genlab.version import __version__

__all__ = ["Model", "UserError", "restore", "__version__"]
