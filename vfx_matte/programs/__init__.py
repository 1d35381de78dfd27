"""What is known about editing programs: one record each, their timelines and notes."""
