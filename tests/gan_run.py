"""Three steps of a tiny GAN on one device and on four, as JSON: run by test_gan.

Batch normalisation in both players, dropout, a gradient penalty and two updates of the
discriminator a step; plain SGD, because Adam hides a gradient that is n times too large.
"""

import json

import jax
import numpy as np

from genlab import parallel
from tests.test_gan import built, tiny


def trained(devices: int) -> list[np.ndarray]:
    """Every array of the state after three steps, and every metric of each."""
    config = tiny("mnist_dcgan_resize", discriminator_steps=2, gradient_penalty=1.0)
    for player, section in config.optim.items():
        plain = {k: v for k, v in section.to_dict().items() if k != "b1"}
        config.optim[player] = plain | {"name": "sgd", "learning_rate": 0.05}
    made, state, batch = built(config)
    replicas = parallel.replicas("jit", jax.devices()[:devices])
    rows = replicas.rows(np.arange(8)[None])[:, 0]  # i64[devices,8/devices]
    parts = replicas.split({name: x[rows] for name, x in batch.items()})

    def step(state, shared, part):
        key = jax.random.fold_in(jax.random.key(3), state.step)
        after, metrics = made.step(state, part, key)
        return after.replace(step=state.step + 1), metrics

    call = replicas.compile(step)
    state, seen = replicas.replicate(jax.device_get(state)), []
    for _ in range(3):
        state, metrics = call(state, {}, parts)
        seen.append(metrics)
    return jax.device_get(jax.tree.leaves((state, seen)))


if __name__ == "__main__":
    one, four = trained(1), trained(4)
    pairs = zip(one, four, strict=True)
    far = [float(np.max(np.abs(a - b) / (1.0 + np.abs(a)))) for a, b in pairs]
    print(json.dumps({"devices": jax.device_count(), "arrays": len(far), "largest": max(far)}))
