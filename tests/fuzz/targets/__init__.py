"""What fuzzers call: each module here has one function, `one(data)`, which raises what is a find."""
