"""Tools around the detector: evaluation, benchmark, training, tuning, comparison of backends, and the doctor."""
