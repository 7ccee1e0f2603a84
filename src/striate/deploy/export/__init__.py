"""A trained network as one file that other programs run: made, proven against the network itself, and only then kept."""
