"""How good and how expensive a mask is: settings run in closed loop on labeled sequences, and scored."""
