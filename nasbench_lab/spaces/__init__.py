"""What is searched: finite spaces, the four-node cell, its encodings for surrogates, its drawing."""
