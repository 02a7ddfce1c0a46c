"""A stranger's plugin whose methods misbehave, each in one way of its own; none imports torch unless it says so."""
