"""Sizes and times as a person reads them."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """Return a number of bytes with the unit in which it has one to three digits before the point."""
    value, unit = float(count), UNITS[0]
    for unit in UNITS:
        if round(value) < 1000 or unit == UNITS[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if value >= 100 or unit == UNITS[0] else f"{value:.3g} {unit}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units: `45 s`, `12 min`, `3 h 20 min`, `5 d 3 h`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return f"{max(0, int(seconds))} s"
    if hours < 1:
        return f"{minutes} min"
    large, small = (f"{hours} h", f"{minutes % 60} min") if days < 1 else (f"{days} d", f"{hours % 24} h")
    return large if small.startswith("0 ") else f"{large} {small}"
