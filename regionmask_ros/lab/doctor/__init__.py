"""Checks what is installed and what works, and says in one line what to do about the rest."""
