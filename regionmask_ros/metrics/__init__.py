"""What is measured, counted and modeled: accuracy, operations, memory, and a model of Loihi 2."""
