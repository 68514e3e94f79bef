"""How programs end: what the commands ``checks.signals`` and ``checks.kills`` share."""
