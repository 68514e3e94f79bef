"""What is measured, counted and modelled: accuracy, operations, memory, and a model of Loihi 2."""
