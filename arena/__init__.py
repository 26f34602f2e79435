"""Self-play, replay, learning, checkpoints, matches, ratings and the command line."""
