"""The definition: every bit of every result of `backprop`, in plain Python.

It needs Python's standard library and nothing else: no NumPy, no compiled code. `backprop.reference` calls it with the
arguments of `fast_train`. Its files are read in the tutorial's order:

* `values`: vectors, matrices, layers, rows, settings;
* `elementary`: exp, expm1, log and log1p, correctly rounded (N3);
* `activations`: the activation functions (in the tutorial: squashing) and their derivatives (N3);
* `losses`: the error of one sample, and its slope (N4);
* `passes`: net input, squash, node deltas, hidden deltas, gradient (N2, N5, N6); predictions and mean losses;
* `blocks`: sums over rows, in blocks joined by a tree (N19);
* `updates`: the optimizers' steps (N7);
* `epochs`: a visit to every row, with a step after each batch (N8);
* `randomness`, `dropout`, `penalties`, `sums`: the parts that an epoch may also need (N9, N18, N16, N11);
* `lbfgs`, `levenberg_marquardt`: the full-batch methods (N13, N14).

A sum is a loop, since its order is part of the result: nothing is fused, reassociated or left to a library. The
compiled kernel has functions of the same names in files of the same names (`backprop/kernel/`, `src_c/`), in the same
order, and is tested against these bit for bit. Clauses N1 to N19 are those of docs/contract.md.
"""
