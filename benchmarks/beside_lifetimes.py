"""Fits of the package lifetimes, run by the Python of its own environment: `beside_lifetimes.py ROWS.npz`.

Prints a JSON object of CPU seconds and parameters for each model, as documented (a row for each customer) and fed with
grouped rows and their weights.
"""

import json
import sys
import warnings
from pathlib import Path
from time import process_time

import numpy as np
from lifetimes import BetaGeoFitter, ModifiedBetaGeoFitter

fitters = {"bgnbd": BetaGeoFitter, "mbgnbd": ModifiedBetaGeoFitter}


def main() -> None:
    """Fit every model both ways."""
    warnings.simplefilter("ignore")
    rows = np.load(Path(sys.argv[1]))
    x, last, age = rows["x"], rows["last"], rows["age"]
    grouped, counts = np.unique(np.stack([x, last, age]), axis=1, return_counts=True)
    found = {}
    for model, fitter in fitters.items():
        found[model] = {
            "documented": fitted(fitter(), x, last, age, None),
            "grouped": fitted(fitter(), *grouped, counts),
        }
    print(json.dumps(found))


def fitted(fitter, x, last, age, weights):  # noqa: ANN001, ANN201 - a script for another environment
    """CPU seconds and parameters; None where the search fails."""
    began = process_time()
    try:
        fitter.fit(x, last / 7, age / 7, weights=weights)
    except Exception as error:  # noqa: BLE001 - reported as what it is
        return {"failed": f"{type(error).__name__}: {error}"[:200], "cpu_seconds": process_time() - began}
    parameters = {name: float(value) for name, value in fitter.params_.items()}
    return {"cpu_seconds": process_time() - began, "parameters": parameters}


if __name__ == "__main__":
    main()
