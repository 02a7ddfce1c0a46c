"""A third party's family with a method that keeps everything, and one for each thing that the kit finds."""
