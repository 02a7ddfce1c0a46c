"""New projects of third parties, from templates: a method, a task or a family that passes its own tests at once."""
