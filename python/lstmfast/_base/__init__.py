# Known by: all
"""What every recurrent layer is, and what everybody checks and asks the machine.

`kinds` lists the kinds of layers, and what they differ in. `Layer` is a configuration, `Inference` its calls;
`states` says what a state is, `parameters` which weights there are.
"""
