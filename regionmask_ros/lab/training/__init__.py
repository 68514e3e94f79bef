"""How MGNet is taught. Only ``torch_model`` and ``trainer`` need torch; nothing outside imports them at its top."""
