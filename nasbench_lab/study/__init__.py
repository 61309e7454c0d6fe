"""What to run, resolved once, the loop, runs on disk, and the engines that carry jobs."""
