"""Running calls: alone, held at a line, many at once, in a process apart; always with a bounded wait."""
