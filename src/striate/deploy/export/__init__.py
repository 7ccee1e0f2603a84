"""A trained network as one file that other programs run: made, proven against the network, and only then kept."""
