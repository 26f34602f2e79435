"""Makes the virtual environment of ``scripts/peers``, starts peers in it on our network, and asks them for figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import games
from agents.network_evaluator import NetworkEvaluator
from agents.networks import NetworkConfig, PolicyValueNetwork, fold_normalisation
from games import ArenaError

HERE = Path(__file__).resolve().parent / "peers"
WITH_A_NETWORK_OF_ITS_OWN = "OpenSpiel's Python AlphaZero"
PEERS = {
    "mctx + pgx": ["mctx_pgx.py"],
    WITH_A_NETWORK_OF_ITS_OWN: ["open_spiel_az.py"],
    "OpenSpiel's search on our network, compiled": ["open_spiel_az.py", "--our-network"],
}
"""Which program each is, and what tells it apart."""
PROBE_MOVES = (3, 3, 2)


def make_environment(directory: Path) -> Path:
    """The Python of the peers' environment in ``directory``, which is made and filled if it is not there yet.

    Raises:
        ArenaError: it could not be filled.
    """
    python = directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        print(f"installing the peers into {directory} …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / "requirements.txt")]
    needed = "import mctx, pgx, pyspiel; from open_spiel.python.algorithms.alpha_zero import model_nnx"
    missing = subprocess.run([str(python), "-c", needed], capture_output=True, check=False).returncode
    if missing and subprocess.run(pip, check=False).returncode:
        raise ArenaError(f"The peers could not be installed into {directory}; leave --peers out to go on without.")
    return python


class Peer:
    """One of ``PEERS`` playing Connect Four, in a process of its own; see the files in ``peers/``.

    Args:
        name: which.
        python: of the environment it runs in.
        scratch: an empty directory for the weights.
        network: the weights it plays with, or whose shape it takes; a ResNet for Connect Four.
        config: of ``network``.
        num_games: how many it plays at once.
        simulations: per move.
        max_considered: root moves that sequential halving starts with.

    Raises:
        ArenaError: another kind of network, or the peer does not start, or has our network and computes something else.
    """

    def __init__(
        self,
        name: str,
        python: Path,
        scratch: Path,
        network: PolicyValueNetwork,
        config: NetworkConfig,
        *,
        num_games: int,
        simulations: int,
        max_considered: int,
    ) -> None:
        if config.backbone != "resnet":
            raise ArenaError(f"--peers measures a resnet, not {config.backbone!r}; leave --peers out.")
        weights = scratch / "weights.npz"
        tensors = [tensor.numpy() for tensor in fold_normalisation(network).state_dict().values()]
        np.savez(weights, **{str(index): array for index, array in enumerate(tensors)})
        program, *flags = PEERS[name]
        command = [str(python), str(HERE / program), *flags, str(weights), "--blocks", str(config.blocks)]
        command += ["--activation", config.activation]
        command += ["--simulations", str(simulations), "--max-considered", str(max_considered)]
        command += ["--games", str(num_games), "--probe", *map(str, PROBE_MOVES)]
        self.row = f"{name}, self-play (simulations/s)"
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hello = self._read()
        self.versions = ", ".join(f"{name} {version}" for name, version in hello["versions"].items())
        self.peak_megabytes = 0.0
        if name != WITH_A_NETWORK_OF_ITS_OWN:
            _check_same(network, hello)

    def measure(self, seconds: float) -> dict[str, float]:
        """Lets it play for ``seconds``, while we wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"seconds": seconds}) + "\n")
        self._process.stdin.flush()
        report = self._read()
        self.peak_megabytes = report["peak_megabytes"]
        return {self.row: report["simulations"] / report["seconds"]}

    def stop(self) -> None:
        """Ends the process."""
        self._process.communicate(timeout=60)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ArenaError(f"The peer ended with exit code {self._process.wait()}; what it wrote above says why.")
        return json.loads(line)


def _check_same(network: PolicyValueNetwork, hello: dict[str, Any]) -> None:
    """The peer must say what our network says of the same position, or the comparison is of different work."""
    game = games.make("connect_four")
    states = game.init(1)
    for move in PROBE_MOVES:
        game.step(states, [move])
    ours = NetworkEvaluator(game, network, device="cpu", precision="fp32")
    evaluation = ours.evaluate(states, game.legal_action_mask(states))
    logits = [np.array(each) - np.max(each) for each in (evaluation.prior_logits[0], hello["logits"])]
    same = np.allclose(*logits, atol=1e-4)  # logits mean the same whatever is added to all of them
    if not (same and np.allclose(evaluation.value[0], hello["value"], atol=1e-4)):
        raise ArenaError(
            f"The peer's network says {hello['logits']}, {hello['value']}, ours {evaluation.prior_logits[0]}, "
            f"{evaluation.value[0]}: they are not the same network."
        )
