"""The version of the code: the package, `genlab.__version__` and checkpoints take it from here."""

__version__ = "0.2.0.dev0"
