"""Files: written whole or not at all, downloaded with a check, unpickled without running anything, Markdown."""
