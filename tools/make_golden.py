"""Make backprop/golden.txt anew: the results of its runs and functions by the reference.

A run is added by writing its line "run {...}" into the file; this script fills in the rest. Any difference that it
makes to the lines of a run that was there before is a change of results, and the changelog says so first.
"""

import json
import pathlib

import numpy as np

from backprop import reference, verify

PATH = pathlib.Path(verify.__file__).with_name("golden.txt")
FEW = 200  # most parameters that are written out


def main():
    text = PATH.read_text(encoding="ascii")
    lines, everything = [line for line in text.splitlines() if line.startswith("#")], b""
    for item in verify.read(text)[0]:
        spec = item.spec
        if "sizes" in spec:
            run = verify.train(reference.train, spec)
            arrays = [run.losses, run.network.parameters, reference.predict(run.network, verify.data(spec)[0])]
            lines.append("run " + json.dumps(spec))
            if run.network.n_parameters <= FEW:
                lines.append("losses " + " ".join(map(float.hex, run.losses.tolist())))
                lines.append("parameters " + " ".join(map(float.hex, run.network.parameters.tolist())))
        else:
            function = getattr(reference, spec["name"])
            arrays = [np.array([function(x) for x in verify.points(spec["name"]).tolist()])]
            lines.append("function " + json.dumps(spec))
        content = verify.little_endian(arrays)
        everything += content
        lines.append("sha256 " + verify.sha256(content))
    lines.append("all " + verify.sha256(everything))
    PATH.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
