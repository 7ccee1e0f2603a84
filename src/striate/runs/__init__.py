"""What a run leaves on disk: its folder, its checkpoints, its model file; all of it atomic and verified."""
