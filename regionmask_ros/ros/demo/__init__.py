"""The demonstration: node and player as two processes, what they say in a bag, and pages made from that bag."""
