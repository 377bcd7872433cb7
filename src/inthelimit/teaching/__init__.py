"""What the chapters use beside the solvers: claims, explorers and one house style.

These modules know nothing of the solvers, so they serve any book that wants its
sentences checked and its sliders to work without a kernel.
"""
