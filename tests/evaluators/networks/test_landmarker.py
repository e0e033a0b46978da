"""The landmarker: codes of faces, and their mirror images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from anonymizers import Faces
from anonymizers.signals import BLENDSHAPES, mirrored
from evaluators.demo.faces import people
from evaluators.demo.protocol import faces_of
from evaluators.networks.describers import Blendshapes
from evaluators.networks.signals import Landmarker, angles, unheard
from tests.places import ROOT


@pytest.mark.real
def test_the_code_of_a_mirrored_face_is_the_mirrored_code(shared: Path, london: torch.Tensor) -> None:
    landmarker = Landmarker(shared / "models" / "detection" / "face_landmarker.task", threads=1)
    signals = {name: landmarker.of(name)(london) for name in ("coefficients", "pose")}
    seen = landmarker.last
    assert seen is not None and seen[0] is london and signals["pose"] is seen[1].pose  # looked at once
    faces = Faces(london, torch.arange(8), torch.full((8,), -1), tuple("abcdefgh"), signals)
    there = mirrored(faces)
    codes = {name: landmarker.of(name)(there.images) for name in signals}
    assert (codes["coefficients"] - there.signals["coefficients"]).abs().mean() < 0.03
    assert (codes["pose"] - there.signals["pose"]).abs().mean() < 1.5  # degrees
    assert signals["pose"].abs().max() < 25
    judge = Blendshapes(landmarker.path, threads=1)
    smile = signals["coefficients"][:, [BLENDSHAPES.index(f"mouthSmile{side}") for side in ("Left", "Right")]].mean(1)
    torch.testing.assert_close(smile, judge(london)[:, judge.coefficients.index("mouthSmile")])


@pytest.mark.parametrize("turned", [(20.0, 0.0, 0.0), (0.0, -15.0, 0.0), (0.0, 0.0, 8.0), (12.0, 7.0, -5.0)])
def test_angles_are_those_that_the_head_was_turned_by(turned: tuple[float, float, float]) -> None:
    yaw, pitch, roll = turned
    turn = Rotation.from_euler("YXZ", (yaw, pitch, roll), degrees=True).as_matrix()
    torch.testing.assert_close(angles(torch.from_numpy(turn)), torch.tensor(turned), atol=1e-3, rtol=0)


def test_a_mirrored_demo_face_moves_as_much_and_is_turned_the_other_way() -> None:
    faces = faces_of(people(30_000, 2, 2))
    there = mirrored(faces).signals
    assert torch.equal(there["coefficients"], faces.signals["coefficients"])
    assert torch.equal(there["pose"], faces.signals["pose"] * torch.tensor([-1.0, 1.0, -1.0]))


def test_the_pose_of_a_demo_face_is_how_its_nose_stands_out() -> None:
    """Yaw moves the tip of the nose by 0.9 px more than the eyes, whoever it is."""
    faces = faces_of(people(30_000, 40, 3, seed=5), 5)
    points, yaw = faces.signals["landmarks68"], faces.signals["pose"][:, 0]
    aside = points[:, 30, 0] - points[:, 36:48, 0].mean(1)
    assert torch.corrcoef(torch.stack((aside, yaw)))[0, 1] > 0.9
    roll = torch.atan2(points[:, 42:48, 1].mean(1) - points[:, 36:42, 1].mean(1), torch.tensor(35.0))
    assert torch.corrcoef(torch.stack((roll, faces.signals["pose"][:, 2])))[0, 1] > 0.6


def test_what_native_code_says_meanwhile_is_dropped_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    with unheard():
        os.write(2, b"built with this and that\n")
    os.write(2, b"after\n")
    with pytest.raises(ValueError, match="inside"), unheard():
        raise ValueError("inside")
    os.write(2, b"and after an error\n")
    assert capfd.readouterr().err == "after\nand after an error\n"


def test_a_closed_standard_error_stays_closed() -> None:
    code = "from evaluators.networks.signals import unheard\nwith unheard():\n    pass\nprint('done')"
    command = ["bash", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n"
