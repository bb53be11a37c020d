"""Prints the numbers that tests hold t2's random streams against, from an
implementation of its own: SplitMix64 in Python's integers, the normal
distribution's inverse from the standard library.

    python tests/make_random_streams.py
"""

from statistics import NormalDist

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class Stream:
    """adaptation/random_stream.hpp"""

    def __init__(self, seed, stream):
        self.state = mix((seed + GOLDEN) & MASK) ^ mix(mix((stream + 0xD1B54A32D192ED03) & MASK))

    def next(self):
        self.state = (self.state + GOLDEN) & MASK
        return mix(self.state)

    def uniform(self):
        return (self.next() >> 11) * 2.0**-53

    def normal(self):
        return NormalDist().inv_cdf(((self.next() >> 11) + 0.5) * 2.0**-53)

    def below(self, n):
        while (x := self.next()) < (1 << 64) % n:
            pass
        return x % n

    def permutation(self, n):
        order = list(range(n))
        for i in range(n, 1, -1):
            j = self.below(i)
            order[i - 1], order[j] = order[j], order[i - 1]
        return order


def draw(seed, sequence, position):
    """model/sampling.cpp: the uniform number of a token."""
    bits = mix((seed + GOLDEN) & MASK)
    bits = mix(((bits ^ sequence) + GOLDEN) & MASK)
    bits = mix(((bits ^ position) + GOLDEN) & MASK)
    return (bits >> 11) * 2.0**-53


def seeded(*parts):
    """tools/seeded_draw.hpp"""
    x = 0
    for part in parts:
        x = mix(((x ^ part) + GOLDEN) & MASK)
    return (x >> 11) * 2.0**-53


def main():
    for seed, stream in [(0, 0), (1, 0), (0, 1), (79, 3), (MASK, MASK)]:
        print("stream", seed, stream,
              [Stream(seed, stream).next() for _ in range(1)],
              repr(Stream(seed, stream).uniform()),
              repr(Stream(seed, stream).normal()),
              Stream(seed, stream).below(10),
              Stream(seed, stream).permutation(8))
        s = Stream(seed, stream)
        print("  third", [s.next() for _ in range(3)][2])
    tail = [Stream(5, 0)]
    values = [tail[0].normal() for _ in range(4000)]
    print("extremes of 4000:", repr(min(values)), repr(max(values)))
    for at in [(0, 0, 0), (9, 3, 0), (9, 3, 1), (9, 4, 1), (79, 0, 4095), (MASK, MASK, 7)]:
        print("draw", *at, int(draw(*at) * 1024))
    for at in [(0, 0, 0), (1, 2, 3), (MASK, 1, 0)]:
        print("seeded", *at, repr(seeded(*at)))


main()
