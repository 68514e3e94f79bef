"""The benchmark: our engine and dense runtimes take turns on the same pictures, network and weights."""
