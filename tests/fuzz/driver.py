"""What the fuzzers share: libFuzzer (through atheris) runs in a child process, and its parent counts and reports.

The child saves each new kind of finding as a file and goes on; a crash or a hang ends it, and libFuzzer saves the file.
`python tests/fuzz/fuzz_x.py FILE...` runs saved files again.
"""

import argparse
import hashlib
import io
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import traceback
import tracemalloc
import warnings
import zlib

import atheris

sys.path.append(str(pathlib.Path(__file__).parents[1]))  # what tests and fuzzers share

HANG = 10  # seconds
MEMORY = 4096  # MB
LARGE, LARGE_ONE_IN = 200_000, 64  # bytes of a large file; how seldom one is made
SPARE = 500_000  # bytes that any file may take, besides three times its size
MOST_FINDINGS = 20


class FindingError(AssertionError):
    """Something that the library must not do."""


def kind_of(error):
    """What two findings have in common that are one: the exception, and the lines it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    return repr(
        [type(error).__name__, re.sub(r"[\d'\"].*", "", str(error)), *[(f.name, f.lineno) for f in frames[-3:]]]
    )


def guarded(one_input, folder):
    """one_input, with what it raises saved in a folder."""
    seen, unraisable = set(), []
    sys.unraisablehook = lambda raised: unraisable.append(raised.exc_value)

    def test_one_input(data):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                one_input(data)
            if unraisable:
                raise FindingError(f"an exception that nobody could catch: {unraisable.pop()!r}")
        except Exception as error:
            if kind_of(error) in seen:
                return
            seen.add(kind_of(error))
            path = folder / f"finding-{hashlib.sha256(data).hexdigest()[:16]}"
            path.write_bytes(data)
            traceback.print_exception(error)
            print(f"saved as {path}, {len(data)} bytes: {data.hex()}", file=sys.stderr, flush=True)
            if len(seen) == MOST_FINDINGS:
                raise

    return test_one_input


# For the files, whose last line is the SHA-256 of what is before it.


def signed(body):
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"


def content(path):
    with open(path, "rb") as file:
        return file.read()


def outcome(load, file):
    """The object that load(file) gives, or the text of its ValueError without the file's name."""
    try:
        return load(file)
    except ValueError as error:
        return re.sub(r"^('.*?'|the stream) ", "", str(error))


def check_streams(load, path, data, same):
    """Streams of bytes, whole and a few bytes at a time, and of text give what the file gives."""
    expected = outcome(load, path)
    texts = [io.StringIO(data.decode("ascii"), newline="")] if data.isascii() else []
    for stream in (io.BytesIO(data), io.BufferedReader(io.BytesIO(data), 7), *texts):
        found = outcome(load, stream)
        if found != expected if isinstance(expected, str) or isinstance(found, str) else not same(found, expected):
            raise FindingError(f"a {type(stream).__name__} gives {found!r}, the file {expected!r}")


def check_memory(load, path, data):
    """One input in some is made large, by a word or line of it many times over: loading takes no more than it may."""
    chosen = zlib.crc32(data)
    body, mark, _ = data.rpartition(b"sha256 ")
    if chosen % LARGE_ONE_IN or not mark:
        return
    choose = random.Random(chosen)
    lines = body.split(b"\n")
    k = choose.randrange(len(lines))
    words = lines[k].split(b" ")
    w, times = choose.randrange(len(words)), LARGE // (len(lines[k]) + 1)
    if choose.randrange(2):
        lines[k : k + 1] = [lines[k]] * times
    else:
        words[w : w + 1] = [words[w]] * times
        lines[k] = b" ".join(words)
    large = signed(b"\n".join(lines))
    with open(path, "wb") as file:
        file.write(large)
    tracemalloc.start()
    outcome(load, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > 3 * len(large) + SPARE:
        raise FindingError(f"{len(large)} bytes take {peak} bytes of memory")


def changed_line(lines, choose, words_to_put, others):
    """One change of the lines of a body: one that every file knows, or one of the others.

    These are functions of the lines, the number of one, its words, and what chooses.
    """
    k = choose.randrange(len(lines))
    words = lines[k].split(b" ")
    w = choose.randrange(len(words))
    action = choose.randrange(8 + len(others))
    if action == 0:
        words[w] = choose.choice(words_to_put)
    elif action == 1:
        words.insert(w, choose.choice([*words_to_put, words[w]]))
    elif action == 2 and len(words) > 1:
        del words[w]
    elif action == 3:
        lines.insert(choose.randrange(len(lines) + 1), lines[k])
        return
    elif action == 4 and len(lines) > 1:
        del lines[k]
        return
    elif action == 5:
        other = choose.randrange(len(lines))
        lines[k], lines[other] = lines[other], lines[k]
        return
    elif action == 6:
        usual = choose.uniform(-1, 1) * 2.0 ** choose.randint(-1074, 1023)
        words[w] = choose.choice([usual, 0.0, -0.0, 5e-324, 2.0**1023]).hex().encode()
    elif action >= 8:
        others[action - 8](lines, k, words, choose)
        return
    else:
        words[w] = atheris.Mutate(words[w], len(words[w]) + 8) if words[w] else b"0"
    lines[k] = b" ".join(words)


def main(script, one_input, seeds, mutator=None, max_len=4096):
    """Fuzz one_input(data), beginning with what seeds(seed) gives; exit with 1 if there is a finding."""
    if sys.argv[1:2] == ["--child"]:
        folder = pathlib.Path(sys.argv[2])
        mutators = {} if mutator is None else {"custom_mutator": mutator}
        atheris.Setup([sys.argv[0], *sys.argv[3:]], guarded(one_input, folder), **mutators)
        atheris.Fuzz()
        return
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=pathlib.Path, default=pathlib.Path("fuzz-findings"))
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="findings to run again, instead of fuzzing")
    given = parser.parse_args()
    if given.files:
        for path in given.files:
            print(path)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                one_input(path.read_bytes())
        return
    given.findings.mkdir(parents=True, exist_ok=True)
    before = set(given.findings.iterdir())
    with tempfile.TemporaryDirectory() as folder:  # where the child makes its files, too: it ends without tidying up
        corpus = pathlib.Path(folder, "corpus")
        corpus.mkdir()
        for k, data in enumerate(seeds(given.seed)):
            (corpus / str(k)).write_bytes(data)
        command = [sys.executable, script, "--child", str(given.findings), str(corpus)]
        command += [f"-max_total_time={given.seconds}", f"-seed={given.seed}", f"-timeout={HANG}", "-len_control=0"]
        command += [f"-rss_limit_mb={MEMORY}", f"-max_len={max_len}", f"-artifact_prefix={given.findings}/"]
        environment = os.environ | {"TMPDIR": folder}
        child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, errors="backslashreplace")
        runs, began = 0, time.monotonic()
        for line in child.stderr:
            found = re.match(r"#(\d+)\t|Done (\d+) runs", line)
            runs = max(runs, *map(int, filter(None, found.groups()))) if found else runs
            if not re.match(r"#\d+\t(NEW|REDUCE|pulse)|INFO|WARNING: Failed to find function", line):
                sys.stderr.write(line)
        status, seconds = child.wait(), time.monotonic() - began
    findings = sorted(set(given.findings.iterdir()) - before)
    for path in findings:
        print(f"finding: {path}; run it again: python {script} {path}")
    print(f"{pathlib.Path(script).name}: {runs} executions in {seconds:.0f} s, seed {given.seed}, ", end="")
    print(f"{len(findings)} findings, exit status of libFuzzer {status}")
    sys.exit(1 if findings or status else 0)
