"""Tests of genlab; a name states the law that is held."""
