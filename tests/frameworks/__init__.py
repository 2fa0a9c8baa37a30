"""What frameworks make of weights is what our layers make of them. Each runs in a process of its own."""
