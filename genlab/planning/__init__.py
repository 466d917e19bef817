"""Training on chips that one does not have: compiled for them, and what the compiler says of it."""
