"""The sections of a config: which fields they have, their defaults, and what each may be."""
