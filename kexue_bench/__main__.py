"""`python -m kexue_bench`."""

from .cli.main import main

raise SystemExit(main())
