"""The version, and how to install an extra; every other module may import this one."""

__version__ = "0.1.0.dev0"


def how_to_install(extra: str) -> str:
    """Return the commands that install an extra, from the index and in a clone."""
    index, clone = f'"sknn_simple[{extra}]"', f'".[{extra}]"'
    return f"pip install {index}, or in a clone: pip install {clone}"
