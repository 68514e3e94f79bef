"""The arguments of each command. Nothing here imports more than the table of options, so that help comes at once."""
