"""The named spaces, and how a user's own is found."""

from __future__ import annotations

import difflib
import importlib
import traceback

from anonymizers import Blackout, Blur, Cloak, Donors, Generator, Integer, KSame, Pixelate, Refined
from anonymizers.ranges import Range
from search_spaces.space import SearchSpace

_BESIDE: dict[str, Range | int | float | str] = {
    "blur.kernel": Integer(3, 61, step=2, unit="px"),
    "pixelate.block": Integer(2, 24, unit="px"),
    "donors.k": Integer(2, 50, unit="people", log=True),
    "donors.match": "mean",
    "donors.shape": "moved",
    "donors.axes": Integer(3, 52, log=True),
    "donors.noise": 0.0,
    "donors.pose": 1.0,
    "donors.tone": "mean",
    "donors.region": "crop",
}
"""What a search of several methods leaves of their ranges: it has few trials for each, and none for what is known.

Blurs and blocks beyond keep no expression and are still undone; of the donors' ways this one keeps most (RESULTS.md).
"""

SPACES: dict[str, SearchSpace] = {
    "classical_grid": SearchSpace(
        "classical_grid",
        configurations=(
            *(Blur(kernel=kernel) for kernel in (11, 21, 31, 51, 71, 101)),
            *(Pixelate(block=block) for block in (4, 8, 12, 16, 24, 32)),
            Blackout(),
        ),
        description="Thirteen classical configurations over the whole crop, in a fixed order.",
    ),
    "k_same_grid": SearchSpace(
        "k_same_grid",
        configurations=tuple(KSame(k=k) for k in (2, 5, 10, 20, 50)),
        description="Five values of k for k-Same-Pixel over the whole crop.",
    ),
    "adaptive_five": SearchSpace(
        "adaptive_five",
        configurations=(Blur(kernel=31), Blur(kernel=71), Pixelate(block=8), Pixelate(block=24), Blackout()),
        description="The five configurations whose adaptive attackers a study reported at 0.00, for want of pictures.",
    ),
    # Blackout has nothing to search and is an anchor of every sweep: trials are not spent on it here.
    "classical": SearchSpace(
        "classical",
        methods=("blur", "pixelate", "k_same"),
        description="Blur, pixelation and k-Same over the full ranges of their fields.",
    ),
    "classical_and_donors": SearchSpace(
        "classical_and_donors",
        methods=("blur", "pixelate", "k_same", "donors"),
        narrowed=_BESIDE,
        description="The same where it keeps something, and averages of other people who make the same face.",
    ),
    "classical_and_generator": SearchSpace(
        "classical_and_generator",
        methods=("blur", "pixelate", "k_same", "donors", "generator"),
        narrowed={**_BESIDE, "generator.variant": "both-kd_logit"},
        description="The same, and the project's own generator, which donors beat: see RESULTS.md.",
    ),
    "donors": SearchSpace(
        "donors",
        methods=("donors",),
        description="Averages of other people who make the same face: every hyperparameter.",
    ),
    "covering": SearchSpace(
        "covering",
        methods=("eye_bar", "mask", "noise"),
        description="What people also use: a bar over the eyes, a flat mask, noise on every pixel.",
    ),
    "donors_on_photographs": SearchSpace(
        "donors_on_photographs",
        configurations=(
            *(Donors(k=k) for k in (2, 5, 10, 20, 50)),
            *(Donors(shape=shape) for shape in ("donors", "model")),
            *(Donors(axes=axes) for axes in (4, 6, 10)),
            Donors(noise=0.5),
            KSame(k=20),
            Blackout(),
        ),
        description="Averages of other people, few and many, by each shape and by a code of few axes, beside k-Same.",
    ),
    "bands": SearchSpace(
        "bands",
        methods=("band_blur",),
        description="The share that is left of the details of each size: blur, freed of removing the finest first.",
    ),
    "generator": SearchSpace(
        "generator",
        methods=("generator",),
        description="The project's own generator: every variant, the number of candidates, the noise of its codes.",
    ),
    "refined": SearchSpace(
        "refined",
        methods=("refined",),
        description="Averages of other people that a network draws over: donors, code, spread and strength of it.",
    ),
    "refined_ablation": SearchSpace(
        "refined_ablation",
        configurations=(
            Donors(k=20),
            *(Refined(strength=strength) for strength in (0.5, 1.0)),
            *(Refined(spread=spread) for spread in (0.0, 0.5)),
            Refined(axes=4),
            Donors(axes=4),
        ),
        description="Donors, and what a network makes of their average: half of it, all, towards nobody or somebody.",
    ),
    "gan_vs_classical": SearchSpace(
        "gan_vs_classical",
        configurations=(
            Generator(),
            Generator(variant="expression-both"),
            Generator(variant="both-none"),
            *(Blur(kernel=kernel) for kernel in (31, 101)),
            *(Pixelate(block=block) for block in (12, 32)),
            KSame(k=10),
            KSame(k=10, variant="select"),
            Blackout(),
        ),
        description="The project's generator beside classical methods and k-Same.",
    ),
    "generators_on_photographs": SearchSpace(
        "generators_on_photographs",
        configurations=(
            Refined(axes=6),
            *(Donors(axes=axes) for axes in (4, 6)),
            KSame(k=10),
            *(KSame(k=k, variant="select") for k in (10, 20)),
            Blur(kernel=101),
            Pixelate(block=32),
            Blackout(),
        ),
        description="The network that comes trained on photographs, beside the most private of the other methods.",
    ),
    "conditioning_on_photographs": SearchSpace(
        "conditioning_on_photographs",
        configurations=tuple(Generator(variant=f"{told}-both") for told in ("none", "landmarks", "expression")),
        description="Our generator, told nothing but 14 px, landmarks, or the expression: what needs no parsing net.",
    ),
    "published_generators": SearchSpace(
        "published_generators",
        methods=("ganonymization", "ciagan", "deep_privacy2"),
        description="GANonymization, CIAGAN and DeepPrivacy2, whose checkpoints you bring.",
    ),
    "conditioning_ablation": SearchSpace(
        "conditioning_ablation",
        configurations=tuple(
            Generator(variant=f"{told}-both") for told in ("none", "landmarks", "parsing", "both", "expression")
        ),
        description="Our generator, told nothing but a picture of 14 px, landmarks, parts, both, or the expression.",
    ),
    "expression_loss_ablation": SearchSpace(
        "expression_loss_ablation",
        configurations=tuple(Generator(variant=f"both-{loss}") for loss in ("none", "kd_logit", "feature", "both")),
        description="Our generator, trained without a loss on the expression, on answers, on features, on both.",
    ),
    "cloaks": SearchSpace(
        "cloaks",
        configurations=tuple(Cloak(epsilon=epsilon) for epsilon in (2, 4, 8, 16)),
        description="Adversarial patterns against the embedder that searches; ask --attacker held_out too.",
    ),
}


def load_space(name: str) -> SearchSpace:
    """Find a space by its name in SPACES, or a user's own as package.module:NAME.

    Raises:
        ValueError: if there is no such space.
    """
    if name in SPACES:
        return SPACES[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        near = difflib.get_close_matches(name, SPACES, n=1)
        raise ValueError(
            f"--space: expected one of {', '.join(SPACES)}, or package.module:NAME, got {name!r}"
            + (f"; the nearest is {near[0]}" if near else "")
        )
    if not module or module.startswith(".") or not attribute:
        raise ValueError(f"--space: expected package.module:NAME with an absolute module and a name, got {name!r}")
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's own lines raise
        raise ValueError(f"--space {name}: expected a module that can be imported, {_told(error)}") from error
    try:
        space = getattr(found, attribute)
    except AttributeError:
        known = [key for key, value in vars(found).items() if isinstance(value, SearchSpace)]
        raise ValueError(
            f"--space {name}: expected a SearchSpace {attribute} in {found.__file__ or module}, it has "
            + (", ".join(known) or "none")
        ) from None
    if not isinstance(space, SearchSpace):
        raise ValueError(f"--space {name}: expected a SearchSpace, got {type(space).__name__}")
    return space


def _told(error: BaseException) -> str:
    """Say where a user's module went wrong: file, line, error."""
    what = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    return f"{own[-1].filename}, line {own[-1].lineno}: {what}" if own else what


def _is_machinery(file: str) -> bool:
    return file == __file__ or file.startswith("<") or file == importlib.__file__
