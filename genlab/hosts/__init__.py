"""Several processes of one run: how they meet, agree, and learn that one of them is lost."""
