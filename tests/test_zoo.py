"""The zoo: facts that hold together, and networks fed and read as they say."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from typer.testing import CliRunner

from evaluators.datasets.alignment import align
from evaluators.datasets.sources.pictures import read_picture
from evaluators.networks import inception, loaders
from evaluators.networks.backends.feeding import feed, normalized
from evaluators.networks.backends.insightface_files import arcface, confirm
from evaluators.networks.backends.last_layer import last_layer
from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
from evaluators.networks.catalog import choice, conventions
from evaluators.networks.catalog.choice import check_files, check_networks, networks_of
from evaluators.networks.catalog.conventions import EMBEDDERS, INSIGHTFACE, TEACHERS, Convention, convention_of
from evaluators.networks.catalog.published import TASKS, ZOO
from evaluators.networks.detection import main_face
from evaluators.networks.inception import FidInception
from evaluators.networks.loaders import load_embedder, load_lpips
from evaluators.zoo import load_models
from orchestrator.search import __main__ as search
from orchestrator.search import make_panel
from orchestrator.search.checks import check_attackers, unmeasured
from orchestrator.search.settings import Settings
from search_spaces import SPACES
from tests.helpers import tiny_nets

NOISE = torch.randint(0, 256, (5, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
CHOICE = {"embedder": "edgeface_xs", "held_out": "mobilefacenet_192", "teacher": "facex", "embedder_input": ""}


@pytest.fixture(scope="session")
def crops(shared: Path) -> Tensor:
    """Aligned faces of LFW, (N, 3, 112, 112) uint8 RGB."""
    detector = loaders.load_detector(shared / "models", threads=1)
    out = []
    for who in ("Abdullah_Gul", "Serena_Williams", "Tony_Blair"):
        for number in (1, 2, 3):
            pixels = read_picture(shared / "data" / "lfw" / who / f"{who}_000{number}.jpg").pixels
            face = main_face(detector.detect(pixels), pixels.shape[1], pixels.shape[0])
            out.append(torch.from_numpy(align(pixels, face.landmarks)).permute(2, 0, 1))
    return torch.stack(out)


def test_every_network_is_in_the_zoo_with_its_facts() -> None:
    assert set(ZOO) >= {*EMBEDDERS, *TEACHERS}
    assert {model.task for model in ZOO.values()} == set(TASKS)
    for name, model in ZOO.items():
        assert model.name == name and model.terms and model.source and model.family
        assert model.urls or "no address" in model.source
        assert all(re.fullmatch(r"https://\S+", url) for url in model.urls)
        for digest in (model.sha256, model.archive_sha256):
            assert digest is None or re.fullmatch("[0-9a-f]{64}", digest), name
        assert (model.archive_sha256 is not None) == (name in INSIGHTFACE)
        assert not Path(model.path).is_absolute()
    files = [model.path for model in ZOO.values()]
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("name", ["lpips_alex", "lpips_squeeze", "lpips_vgg", "fid_inception"])
def test_a_name_that_carries_digits_of_the_checksum_agrees_with_it(name: str) -> None:
    model = ZOO[name]
    digits = re.search(r"-([0-9a-f]{8})\.pth$", model.path)
    assert digits and model.sha256 is not None and model.sha256.startswith(digits[1])
    assert all(url.endswith(Path(model.path).name) for url in model.urls)


def test_torchvision_names_the_same_addresses() -> None:
    from torchvision import models

    weights = [
        models.AlexNet_Weights.IMAGENET1K_V1,
        models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
        models.VGG16_Weights.IMAGENET1K_V1,
    ]
    assert [ZOO[name].urls for name in choice.BACKBONES] == [(weight.url,) for weight in weights]


def test_the_default_embedders_are_of_two_families() -> None:
    assert ZOO[CHOICE["embedder"]].family != ZOO[CHOICE["held_out"]].family
    assert choice.DEFAULT_NETWORKS == CHOICE


def test_a_description_of_the_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    digest = tiny_nets.embedder(path)
    plain = convention_of("--embedder", path)
    assert plain == Convention(str(path), digest, 112, False, 127.5, 127.5, "the user's own file")
    own = convention_of("--embedder", path, "size=16, layout=nhwc,color=bgr,mean=0,scale=255")
    assert own.describe() == {"size": 16, "layout": "nhwc", "color": "bgr", "mean": 0.0, "scale": 255.0}


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        ("side=16", "expected some of size, layout, color, mean, scale, as key=value, got 'side=16'"),
        ("size", "as key=value, got 'size'"),
        ("layout=chwn", "expected layout to be nchw or nhwc, got 'chwn'"),
        ("color=gbr", "expected color to be rgb or bgr"),
        ("mean=dark", "expected numbers for size, mean and scale"),
        ("scale=0", "expected size and scale above 0"),
        ("scale=nan", "expected size and scale above 0"),
        ("mean=inf", "and finite numbers"),
        ("size=0", "expected size and scale above 0"),
    ],
)
def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path, described: str, sentence: str) -> None:
    (tmp_path / "own.onnx").touch()
    with pytest.raises(ValueError, match="--embedder-input: .*" + re.escape(sentence)):
        convention_of("--embedder", tmp_path / "own.onnx", described)


def test_an_embedder_by_its_path_is_fed_as_described(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    digest = tiny_nets.embedder(path)
    net = load_embedder(tmp_path / "elsewhere", str(path), "size=16,color=bgr,mean=10,scale=5", threads=1)
    assert (net.name, net.digest) == ("own", digest)
    images = NOISE[:, :, :16, :16]
    blocks = functional.avg_pool2d((images.flip(1).float() - 10) / 5, 4).flatten(1)
    torch.testing.assert_close(net(images), functional.normalize(blocks))


def test_mean_and_scale_of_each_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = tiny_nets.embedder(tmp_path / "own.onnx")
    fed = Convention("own.onnx", digest, 16, False, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "none")
    images = NOISE[:, :, :16, :16]
    x = images.float()
    x = torch.stack([(x[:, 0] - 1) / 4, (x[:, 1] - 2) / 5, (x[:, 2] - 3) / 6], 1)
    torch.testing.assert_close(feed(images, OnnxEmbedder(tmp_path, "own", fed, threads=1).convention), x)
    mean, scale = TEACHERS["enet_b2_8"].mean, TEACHERS["enet_b2_8"].scale
    white = torch.full((1, 3, 2, 2), 255.0)
    seen = normalized(white, TEACHERS["enet_b2_8"])[0, :, 0, 0]
    assert seen.tolist() == pytest.approx([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rel=1e-5)
    assert isinstance(mean, tuple) and isinstance(scale, tuple)


def test_a_teacher_that_takes_one_picture_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FER+ is: gray, 0 to 255, batch 1, its features a vector, its tensors found from the end."""
    declared = TEACHERS["ferplus"]
    assert (declared.size, declared.gray, declared.mean, declared.scale, declared.batch) == (64, True, 0.0, 1.0, 1)
    path = tmp_path / declared.path
    digest = tiny_nets.teacher(path, len(declared.classes), channels=1, batch=1)
    assert last_layer(path) == ("y", "seen")
    monkeypatch.setitem(TEACHERS, "ferplus", replace(declared, sha256=digest))
    net = OnnxTeacher(tmp_path, "ferplus", threads=1)
    got = net(NOISE)
    assert got.logits.shape == (5, 8) and got.features.shape == (5, 1)
    luma = (NOISE.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).mean((1, 2))
    torch.testing.assert_close(got.features[:, 0], luma, rtol=1e-3, atol=0.1)
    torch.testing.assert_close(got.logits[3:4], net(NOISE[3:4]).logits)


def test_a_file_without_one_last_layer_is_refused(tmp_path: Path) -> None:
    tiny_nets.embedder(tmp_path / "own.onnx")
    with pytest.raises(ValueError, match=r"--teacher: expected own\.onnx to end in one layer with weights, got none"):
        last_layer(tmp_path / "own.onnx")


def test_a_choice_of_networks_is_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").touch()
    check_networks(**CHOICE)
    check_networks(**CHOICE | {"embedder": "buffalo_l", "held_out": "edgeface_xs", "teacher": "ferplus"})
    own = {"embedder": str(tmp_path / "own.onnx")}
    check_networks(**CHOICE | own | {"embedder_input": "scale=128"})
    refused = [
        (
            {"embedder": "facex"},
            "--embedder: expected one of edgeface_xs, .*, or the path of an ONNX file, got 'facex'",
        ),
        ({"held_out": "nobody"}, "--held-out: expected one of"),
        ({"teacher": "edgeface_xs"}, "--teacher: expected one of facex, .*, got 'edgeface_xs'"),
        ({"embedder": "/no/such.onnx"}, r"--embedder: expected an ONNX file, /no/such\.onnx is none"),
        ({"held_out": "/no/such.onnx"}, "--held-out: expected an ONNX file"),
        ({"embedder_input": "size=16"}, "--embedder-input: expected --embedder to be the path of an ONNX file"),
        (own | {"embedder_input": "size=x"}, "--embedder-input: expected numbers"),
        ({"held_out": "edgeface_xxs"}, "--held-out edgeface_xxs: expected another family .*, got EdgeFace twice"),
        (own | {"held_out": own["embedder"]}, "expected another family"),
    ]
    for change, sentence in refused:
        with pytest.raises(ValueError, match=sentence):
            check_networks(**CHOICE | change)


def test_missing_files_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    choice = CHOICE | {"teacher": "enet_b2_8"}
    for name, how in (
        ("scrfd_2.5g", "python -m orchestrator.models pull scrfd_2.5g gets it"),
        ("edgeface_xs", "no address of this file is known, bring it yourself"),
        ("mobilefacenet_192", "no address of this file is known"),
        ("enet_b2_8", "pull enet_b2_8 gets it"),
    ):
        path = tmp_path / ZOO[name].path
        with pytest.raises(ValueError, match=re.escape(f"--models: expected {path}, which is missing; ") + ".*" + how):
            check_files(tmp_path, **choice)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    check_files(tmp_path, **choice)
    check_files(tmp_path, **choice | {"embedder": "/own.onnx"})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--embedder", "edgeface_xs"], "--embedder: a choice of real networks needs real faces; give --data"),
        (["--held-out", "edgeface_xxs"], "--held-out: a choice of real networks"),
        (["--teacher", "facex"], "--teacher: a choice of real networks"),
        (["--embedder-input", "scale=1"], "--embedder-input: a choice of real networks"),
        (["--data", ".", "--models", ".", "--teacher", "nobody"], "--teacher: expected one of facex"),
        (["--data", ".", "--models", ".", "--held-out", "edgeface_xxs"], "expected another family"),
        (["--data", ".", "--models", ".", "--embedder", "no.onnx"], "--embedder: expected an ONNX file"),
    ],
)
def test_the_searchs_options_are_checked(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(search.app, arguments)
    assert result.exit_code == 2 and sentence in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("fixed", "oracle"), r"--attacker: expected some of fixed, .*finetuned.*, got oracle"),
        (("fixed", "mapped", "fixed"), "expected different attackers"),
        (("mapped",), "expected fixed among them, got mapped"),
    ],
)
def test_a_choice_of_attackers_is_checked(names: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_attackers(names)


def test_the_rate_of_an_attacker_who_serves_can_be_an_objective() -> None:
    made = Settings(space=SPACES["classical"], space_name="classical")
    assert {"rank1_restored", "rank5_held_out"} < unmeasured(made)
    assert "rank1_restored" not in unmeasured(replace(made, attackers=("fixed", "restored")))


def test_what_was_pulled_can_be_an_objective(tmp_path: Path) -> None:
    settings = Settings(next(iter(SPACES.values())), "", data=tmp_path, models=tmp_path)
    assert {"lpips", "fid", "kid"} <= unmeasured(settings)
    for name in ("lpips_vgg", "fid_inception"):
        path = tmp_path / ZOO[name].path
        path.parent.mkdir()
        path.touch()
    assert not {"lpips", "fid", "kid"} & unmeasured(settings)
    assert {"lpips", "fid", "kid"} <= unmeasured(replace(settings, data=None, models=None))


def test_the_networks_that_were_chosen_reach_the_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def load(models: Path | None, **options: object) -> None:
        asked.update(options, models=models)
        raise InterruptedError

    monkeypatch.setattr(make_panel, "load_nets", load)
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        next(iter(SPACES.values())), "", data=tmp_path, models=tmp_path, embedder="own.onnx", teacher="ferplus"
    )
    make = make_panel.MakePanel(None, tmp_path, ("ssim", "mse"), "cpu", settings.networks)  # type: ignore[arg-type]
    with pytest.raises(InterruptedError):
        make()
    expected = CHOICE | {"embedder": str(tmp_path / "own.onnx"), "teacher": "ferplus"}
    assert {key: asked[key] for key in expected} == expected and asked["models"] == tmp_path


def test_facts_lead_back_to_the_same_networks() -> None:
    facts = {
        "embedder": {
            "name": "own",
            "path": "/a/own.onnx",
            "input": {"size": 112, "layout": "nchw", "color": "rgb", "mean": 127.5, "scale": 128.0},
        },
        "held_out": {"name": "edgeface_xxs"},
        "teacher": {"name": "facex"},
    }
    assert networks_of(facts) == {
        "embedder": "/a/own.onnx",
        "held_out": "edgeface_xxs",
        "teacher": "facex",
        "embedder_input": "size=112,layout=nchw,color=rgb,mean=127.5,scale=128.0",
    }


def test_insightface_must_feed_a_pack_as_declared(tmp_path: Path) -> None:
    declared = INSIGHTFACE["buffalo_sc"]
    digest = tiny_nets.embedder(tmp_path / declared.path, size=112)
    confirm(tmp_path, replace(declared, sha256=digest))
    with pytest.raises(ValueError, match=r"w600k_mbf\.onnx: expected insightface to feed it as declared, .* 128"):
        confirm(tmp_path, replace(declared, sha256=digest, scale=128.0))


def test_lpips_joins_where_its_backbone_was_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import squeezenet1_1

    model = ZOO["lpips_squeeze"]
    path = tmp_path / model.path
    path.parent.mkdir()
    torch.manual_seed(0)
    torch.save(squeezenet1_1(weights=None).state_dict(), path)
    with pytest.raises(ValueError, match=f"with SHA-256 {model.sha256}, got"):
        load_lpips(tmp_path, "lpips_squeeze")
    monkeypatch.setitem(ZOO, model.name, replace(model, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    net = load_lpips(tmp_path, "lpips_squeeze")
    same, other = net.distance_to(net.features(NOISE[:1].repeat(2, 1, 1, 1)), NOISE[:2])
    assert same == 0 and other > 0


def test_what_is_pickled_beside_tensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ZOO["fid_inception"]
    path = tmp_path / model.path
    path.parent.mkdir()
    torch.save({"weight": Path("anything")}, path)
    monkeypatch.setitem(ZOO, model.name, replace(model, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        loaders.load_inception(tmp_path)


def test_inceptions_pools_do_not_count_the_padding() -> None:
    x = torch.rand(2, 3, 5, 6)
    (got,) = inception._without_padding(torch.nn.Identity(), (functional.avg_pool2d(x, 3, 1, 1),))
    torch.testing.assert_close(got, functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False))


@pytest.mark.parametrize("side", [112, 299, 600])
def test_inceptions_pictures_are_sampled_from_the_corner(side: int) -> None:
    ramp = torch.arange(side, dtype=torch.float32).expand(1, 1, side, side)
    expected = (torch.arange(299) * side / 299).clamp_max(side - 1)
    torch.testing.assert_close(inception.resize(ramp)[0, 0, 7], expected, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(inception.resize(ramp.mT)[0, 0, :, 7], expected, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
def test_inception_takes_566_tensors_and_nothing_else() -> None:
    from torchvision.models import inception_v3

    state = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    assert len(state) == 566
    features = FidInception(state)(NOISE[:2])
    assert features.shape == (2, 2048) and features.isfinite().all() and (features >= 0).all()
    with pytest.raises(
        ValueError, match="expected the 566 tensors of pytorch-fid's Inception, got 565 of which 565 fit"
    ):
        FidInception({key: value for key, value in state.items() if key != "fc.bias"})


@pytest.mark.real
@pytest.mark.parametrize("name", ["edgeface_xs", "edgeface_xxs"])
def test_embeddings_are_insightfaces_own(name: str, shared: Path, crops: Tensor) -> None:
    """insightface's class takes NCHW files only, so that mobilefacenet_192 is left out."""
    path = shared / "models" / EMBEDDERS[name].path
    other = arcface(path)
    assert (other.input_size, other.input_mean, other.input_std) == ((112, 112), 127.5, 127.5)
    bgr = [np.ascontiguousarray(crop.permute(1, 2, 0).numpy()[..., ::-1]) for crop in crops]
    theirs = functional.normalize(torch.from_numpy(np.concatenate([other.get_feat(crop) for crop in bgr])))
    for net in (load_embedder(shared / "models", name, threads=1), load_embedder(shared, str(path), threads=1)):
        assert ((net(crops) * theirs).sum(1) >= 0.9999).all()
    wrong = load_embedder(shared, str(path), "color=bgr", threads=1)
    assert not ((wrong(crops) * theirs).sum(1) >= 0.9999).any()


@pytest.mark.real
@pytest.mark.parametrize("name", ["facex", "mini_xception"])
def test_the_last_layer_that_is_found_is_the_declared_one(
    name: str, shared: Path, crops: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = shared / "models"
    declared = OnnxTeacher(models, name, threads=1)(crops)
    monkeypatch.setitem(conventions.TEACHERS, name, replace(TEACHERS[name], features=""))
    found = OnnxTeacher(models, name, threads=1)(crops)
    torch.testing.assert_close(found.logits, declared.logits)
    # The layer of facex reads all pixels of the map that is declared, that of mini_xception their mean.
    per_feature = found.features.shape[1] / declared.features.shape[1]
    assert per_feature == {"facex": 36, "mini_xception": 1}[name]
    torch.testing.assert_close(found.features.sum(1), declared.features.sum(1) * per_feature, rtol=1e-4, atol=1e-3)


@pytest.mark.real
def test_facts_name_the_users_own_file(shared: Path) -> None:
    path = shared / "models" / EMBEDDERS["edgeface_xxs"].path
    loaded = load_models(shared / "models", threads=1, embedder=str(path), embedder_input="scale=128")
    assert loaded["facts"]["embedder"] == {
        "name": "edgeface_xxs",
        "sha256": EMBEDDERS["edgeface_xxs"].sha256,
        "terms": "the user's own file",
        "path": str(path),
        "input": {"size": 112, "layout": "nchw", "color": "rgb", "mean": 127.5, "scale": 128.0},
    }
    assert networks_of(loaded["facts"])["embedder"] == str(path)
