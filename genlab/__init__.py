"""genlab: image generative models in JAX. `genlab.restore(workdir)` gives a trained model."""

from genlab.errors import UserError
from genlab.model import Model, restore

__all__ = ["Model", "UserError", "restore"]
