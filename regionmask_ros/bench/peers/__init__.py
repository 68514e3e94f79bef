"""Dense runtimes with the same network and weights. Each is imported only in its own file, when it is asked for."""
