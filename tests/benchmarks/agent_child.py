"""Trains an agent a few iterations at a time, in a process of its own: `agent_child.py KIND DEVICE`.

Every line on standard input is one order, every line on standard output its answer, both JSON: the seed and
the iterations to train on for; with 0 of them, the returns on tasks held out. It imports the package that the
path names, which may be that of an earlier commit.
"""

import json
import sys
import time

import torch

from mlearn_utils.meta.policies.agent import MAMLAgent
from mlearn_utils.meta.policies.memory_agent import MemoryAgent
from mlearn_utils.tasks.cartpole import CartPoleTasks

KINDS = {"MAMLAgent": MAMLAgent, "MemoryAgent": MemoryAgent}


def main(kind: str, device: str) -> None:
    """Answer orders until there are no more."""
    torch.set_num_threads(1)
    family, agents = CartPoleTasks("dirv"), {}
    clock = time.process_time if device == "cpu" else time.perf_counter
    for line in sys.stdin:
        seed, iterations = json.loads(line)
        if seed not in agents:
            agents[seed] = KINDS[kind](family, seed=seed, device=device)
        agent, begin = agents[seed], clock()
        if iterations:
            agent.train(iterations, seed=seed, progress=False)
            answer = clock() - begin
        else:
            answer = agent.evaluate(family.sample(100, seed=1_000_000))[1].tolist()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
