"""How often Python looks for garbage that refers to itself."""

import gc


def collect_less_often() -> None:
    """Spare what this process does the search for cycles among what stays for good: modules, routes, schemas.

    Nearly everything is freed by counting references. At the collector's own pace, a look at every 700 new objects, it
    looks more than once in a request, and at all lines of a bulk award or an import again and again.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
