"""What several test files share: clips, the command line, readers, servers."""
