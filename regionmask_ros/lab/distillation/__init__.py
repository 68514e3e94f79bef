"""Distillation: a detector, the teacher, labels pictures or answers for them, and a network learns to do the same."""
