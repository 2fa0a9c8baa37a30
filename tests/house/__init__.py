"""What holds for the repository as a whole: its rules, its README, its examples, what it imports."""
