"""The ROS 2 rim: the node, the player and the recorder. Nothing outside this room but commands imports it."""
