"""The checks of style, types, imports, spelling and documentation that ``make check`` runs."""
