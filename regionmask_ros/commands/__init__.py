"""The commands: ``python -m regionmask_ros NAME`` and ``ros2 run regionmask_ros NAME``.

One module a command. Each has ``add_arguments(parser)``, ``run(args) -> int`` and ``main(argv=None) -> int``; the first
line of its docstring is its help, the rest its description.
"""
