"""The benchmark: our engine and dense runtimes take turns on the same images, network and weights."""
