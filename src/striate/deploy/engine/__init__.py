"""What computes: one network, several ways to run it on this machine (engine), and the race between them (race)."""
