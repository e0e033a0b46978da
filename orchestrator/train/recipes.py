"""The recipes of a space's variants, and the prelude that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from anonymizers import Anonymizer, Generator, Refined
from anonymizers.generative.conditioning import CONDITIONINGS, MAPS
from anonymizers.training.recipe import Recipe, Refining
from evaluators.options import expected_one_of
from orchestrator.search.faces import FaceChoice
from orchestrator.train.task import Training
from search_spaces import SearchSpace

PRELUDE_PRICE = 0.002
"""Of a nat, where faces are only drawn as they are: what the identity tells anyway is then not sent again."""


FOR_DEMO = Recipe(batch=48, steps=900, prelude=1_800)


FOR_PHOTOGRAPHS = Recipe(batch=32, steps=1_600, prelude=1_200, width=24, means=True)


REFINING_DEMO = Refining()


REFINING_PHOTOGRAPHS = Refining(bank=600)


def recipes_of(space: SearchSpace, training: Training, faces: FaceChoice) -> tuple[Recipe | Refining, ...]:
    """Return the recipe of each variant of the generator in a space, and of the network that refines averages.

    Raises:
        ValueError: if there is none, or a variant that was asked for is not among them.
    """
    found = dict.fromkeys(name for example in space.examples() if (name := _variant(example)))
    if not found:
        raise ValueError(f"--space {space.name}: expected a space with the method generator or refined, it has none")
    for name in training.variants:
        if name not in found:
            raise ValueError(expected_one_of("--variant", found, name))
    real = faces.data is not None
    recipes: list[Recipe | Refining] = []
    for name in training.variants or found:
        recipe: Recipe | Refining
        if name == REFINING_DEMO.name:
            recipe = REFINING_PHOTOGRAPHS if real else REFINING_DEMO
        else:
            told, loss = name.split("-")
            recipe = replace(FOR_PHOTOGRAPHS if real else FOR_DEMO, conditioning=told, expression_loss=loss)
        steps, batch = training.steps or recipe.steps, training.batch or recipe.batch
        recipes.append(replace(recipe, seed=faces.seed, steps=steps, batch=batch))
    return tuple(recipes)


def _variant(example: Anonymizer) -> str:
    """Return the name of the network that a configuration draws with, "" where the project trains none."""
    if isinstance(example, Generator):
        return example.variant
    return REFINING_DEMO.name if isinstance(example, Refined) else ""


def preludes_of(recipes: Sequence[Recipe | Refining]) -> tuple[Recipe, ...]:
    """Return the run that the variants share, if they do: it learns to draw faces, from all signals.

    Raises:
        ValueError: if no conditioning has what they are told.
    """
    variants = [recipe for recipe in recipes if isinstance(recipe, Recipe)]
    if not any(recipe.prelude for recipe in variants):
        return ()
    first = variants[0]
    signals = {name for recipe in variants for name in recipe.needs}
    # Words can be begun with later, maps cannot: where no conditioning has all, one that has the maps.
    enough = [
        [c for c, needs in CONDITIONINGS.items() if wanted <= set(needs)] for wanted in (signals, signals & MAPS.keys())
    ]
    seeing = next((found for found in enough if found), [])
    if not seeing:
        raise ValueError(
            f"--space: expected variants that can begin alike, no conditioning has {', '.join(sorted(signals))}; train "
            "some of them with --variant"
        )
    told = min(seeing, key=lambda c: len(CONDITIONINGS[c]))
    return (
        replace(
            first,
            conditioning=told,
            expression_loss="none",
            steps=first.prelude,
            prelude=0,
            attraction=0.0,
            repulsion=0.0,
            expression=0.0,
            leak=0.0,
            price=PRELUDE_PRICE,
        ),
    )
