"""Measure training on many rows: python benchmarks/large_data.py.

shuffling: how well `BlockShuffle` trains on rows that are sorted by their targets, which is the worst case for it.
"""

import numpy as np

from backprop import Adam, BlockShuffle, Network, fast_train

# Numbers of rows, with which the last window of an epoch has 14 or only 2 of the default blocks.
SORTED_ROWS = 200_000, 196_900
SEEDS = range(3)
MOST = 2.5  # the held-out loss after BlockShuffle(), at most, in units of that after the full shuffle
WAYS: dict[str, BlockShuffle] = {
    "BlockShuffle()": BlockShuffle(),
    "window=1": BlockShuffle(window=1),
    "rows=1024, window=64": BlockShuffle(1024, 64),
    "rows=4096, window=16": BlockShuffle(4096, 16),
    "rows=4096, window=1": BlockShuffle(4096, 1),
}


def sorted_rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n, 8), sorted by their targets, which are smooth and noisy; and a tenth as many others to hold out."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n + n // 10, 8))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * np.abs(X[:, 3]) + 0.1 * generator.normal(size=len(X))
    order = np.argsort(y[:n])
    return X[order], y[order], X[n:], y[n:]


def shuffling() -> bool:
    """Print the held-out losses after three epochs of each way to visit sorted rows; whether the default is good."""
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    network = Network([8, 32, 32, 1], "tanh")
    print("held-out loss after the full shuffle; of others, how many times that")
    for n in SORTED_ROWS:
        X, y, X_held_out, y_held_out = sorted_rows(n)
        for rng in SEEDS:
            losses = {
                name: fast_train(network, X, y, optimizer=Adam(), epochs=3, rng=rng, shuffle=shuffle).network.loss(
                    X_held_out, y_held_out
                )
                for name, shuffle in {"full": True, **WAYS}.items()
            }
            for name in WAYS:
                ratios[name].append(losses[name] / losses["full"])
            found = ", ".join(f"{name}: {ratios[name][-1]:.2f}" for name in WAYS)
            print(f"{n} rows, seed {rng}: full {losses['full']:.5f}; {found}")
    for name, found in ratios.items():
        print(f"{name}: at worst {max(found):.2f}, at best {min(found):.2f} times the full shuffle's loss")
    return max(ratios["BlockShuffle()"]) <= MOST


if __name__ == "__main__":
    raise SystemExit(not shuffling())
