"""The cubic sigmoid and its slope at one point, for compiled loops: functions of x − u and η."""

from inthelimit._compiled import compiled


@compiled
def rise(offset: float, eta: float) -> float:
    """Return s(offset/η)."""
    depth = max(0.0, 0.5 - abs(offset) / eta)
    tail = 4.0 * depth * depth * depth
    return 1.0 - tail if offset > 0.0 else tail


@compiled
def slope(offset: float, eta: float) -> float:
    """Return s′(offset/η)."""
    depth = max(0.0, 0.5 - abs(offset) / eta)
    return 12.0 * depth * depth
