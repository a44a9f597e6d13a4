"""One run of another simulator, in the environment of the peers; prints JSON.

Two kinds of work, both Poisson arrivals and exponential answers, one request a replica:

- ``queue``: replicas that are always on and one shared queue (M/M/c). Says the mean wait.
- ``zero``: a replica starts at once where none is idle, and ends when it was idle for the timeout.
  Says the share of requests that started one, and how many replicas there were on average.
"""

from __future__ import annotations

import json
import random
import sys
import time


def queue_simpy(rate_rps, serve_s, replicas, requests, seed):
    import simpy

    draw = random.Random(seed)
    world = simpy.Environment()
    desk = simpy.Resource(world, capacity=replicas)
    waits = []

    def request():
        arrived = world.now
        with desk.request() as turn:
            yield turn
            waits.append(world.now - arrived)
            yield world.timeout(draw.expovariate(1 / serve_s))

    def source():
        for _ in range(requests):
            yield world.timeout(draw.expovariate(rate_rps))
            world.process(request())

    world.process(source())
    world.run()
    return {"requests": requests, "wait_s": sum(waits) / len(waits)}


def queue_ciw(rate_rps, serve_s, replicas, requests, seed):
    import ciw

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=rate_rps)],
        service_distributions=[ciw.dists.Exponential(rate=1 / serve_s)],
        number_of_servers=[replicas],
    )
    ciw.seed(seed)
    world = ciw.Simulation(network)
    world.simulate_until_max_customers(requests)
    waits = [record.waiting_time for record in world.get_all_records()]
    return {"requests": len(waits), "wait_s": sum(waits) / len(waits)}


def zero_simpy(rate_rps, serve_s, timeout_s, requests, seed):
    import simpy

    draw = random.Random(seed)
    world = simpy.Environment()
    idle = []  # (number, event that ends its wait), the lowest number is taken first
    free, cold, held_s = [], 0, 0.0
    numbers = 0

    def replica(number):
        nonlocal held_s
        begun = world.now
        while True:
            yield world.timeout(draw.expovariate(1 / serve_s))
            called = world.event()
            idle.append((number, called))
            over = world.timeout(timeout_s)
            yield called | over
            if not called.triggered:
                idle.remove((number, called))
                free.append(number)
                held_s += world.now - begun
                return

    def source():
        nonlocal cold, numbers
        for _ in range(requests):
            yield world.timeout(draw.expovariate(rate_rps))
            if idle:
                first = min(idle, key=lambda pair: pair[0])
                idle.remove(first)
                first[1].succeed()
            else:
                cold += 1
                if free:
                    number = min(free)
                    free.remove(number)
                else:
                    number, numbers = numbers, numbers + 1
                world.process(replica(number))

    world.process(source())
    world.run()
    return {
        "requests": requests,
        "cold_share": cold / requests,
        "replicas": held_s / (requests / rate_rps),
    }


def zero_simfaas(rate_rps, serve_s, timeout_s, requests, seed):
    # It draws from the generator that all of numpy shares.
    import numpy as np
    from simfaas.ServerlessSimulator import ServerlessSimulator

    np.random.seed(seed)  # noqa: NPY002
    world = ServerlessSimulator(
        arrival_rate=rate_rps,
        warm_service_rate=1 / serve_s,
        cold_service_rate=1 / serve_s,
        expiration_threshold=timeout_s,
        max_time=requests / rate_rps,
    )
    world.generate_trace(debug_print=False, progress=False)
    return {
        "requests": world.total_req_count,
        "cold_share": world.total_cold_count / world.total_req_count,
        "replicas": float(world.get_average_server_count()),
    }


RUNS = {
    "queue-simpy": queue_simpy,
    "queue-ciw": queue_ciw,
    "zero-simpy": zero_simpy,
    "zero-simfaas": zero_simfaas,
}


def main():
    name, given = sys.argv[1], json.loads(sys.argv[2])
    run = RUNS[name]
    run(**{**given, "requests": 200})  # what is loaded at first use is no part of it
    begun = time.process_time()
    found = run(**given)
    print(json.dumps({**found, "cpu_s": time.process_time() - begun}))


if __name__ == "__main__":
    main()
