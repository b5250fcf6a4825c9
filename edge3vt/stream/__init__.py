"""The live loop: every frame out by its deadline, with its own mask, an older one that says so, or none."""
