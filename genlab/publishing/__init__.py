"""How a trained run becomes an entry of the zoo: its check, its card."""
