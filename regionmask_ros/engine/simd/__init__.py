"""The kernel sets for processors with vectors: AVX2, AVX-512 and ARM's dot product."""
