"""The limits that learning algorithms tend to, and how fast they get there.

Each module holds one idea: a finite system, its limit, and the formulas of the
theorem that says how near they are.  Nothing is imported until you ask for it::

    from inthelimit.quadratic import Quadratic
    from inthelimit.lasso import lasso_path
"""

__version__ = "0.1.0"


class ConvergenceError(RuntimeError):
    """The accuracy asked for was not reached; the message says where it stopped and what to try."""
