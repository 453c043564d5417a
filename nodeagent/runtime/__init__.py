"""The seam to the container runtime: what the agent asks for (`base.py`) and how nerdctl does it (`nerdctl.py`)."""
