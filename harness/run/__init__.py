"""Run: put threads on a subject and write down what happened, without an opinion about it."""
