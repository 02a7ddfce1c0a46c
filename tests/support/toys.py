"""Words of a command that runs one small task in no time."""

FAST = ("--budget", "4096", "--precision", "20%")
TOY = ("compare", "gradients", "-t", "bernoulli-toy", "--stage", "evaluate", "--format", "json", *FAST)
HERE = ("--isolation", "none")
