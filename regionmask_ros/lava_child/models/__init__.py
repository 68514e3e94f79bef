"""Process models of our own. Lava looks through the folder of a model's module, so nothing else lies here."""
