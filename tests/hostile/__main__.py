import json
import sys

from . import CONDITIONS, DEFINITIONS

if __name__ == "__main__":
    found = (CONDITIONS | DEFINITIONS)[sys.argv[1]].bring_about()
    print(json.dumps(found if isinstance(found, list | tuple) else [found]))
