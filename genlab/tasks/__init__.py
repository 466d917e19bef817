"""Families of models: a folder holds a family's task, its mathematics and its pictures."""
