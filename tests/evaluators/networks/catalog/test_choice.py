"""Networks chosen, described, loaded and fed as they say."""

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

from evaluators.networks.backends.feeding import feed, normalized
from evaluators.networks.backends.insightface_files import arcface, confirm
from evaluators.networks.backends.last_layer import last_layer
from evaluators.networks.backends.onnx_nets import OnnxEmbedder, OnnxTeacher
from evaluators.networks.catalog.choice import Networks, check_files, check_networks, networks_of
from evaluators.networks.catalog.conventions import EMBEDDERS, INSIGHTFACE, TEACHERS, Convention, convention_of
from evaluators.networks.catalog.published import ZOO
from evaluators.networks.loaders import load_embedder, load_lpips
from evaluators.zoo import load_models
from tests.helpers import tiny_nets
from tests.helpers.tiny_nets import NOISE


def test_the_default_embedders_are_of_two_families() -> None:
    chosen = Networks().settled(held_out=True)
    assert chosen.held_out is not None and Networks().settled().held_out is None
    assert ZOO[chosen.embedder].family != ZOO[chosen.held_out].family
    assert chosen.embedder == "edgeface_xs" and chosen.held_out == "mobilefacenet_192"
    assert chosen.teacher == "facex" and chosen.detector == "scrfd_2.5g"


def test_defaults_fall_back_to_what_is_there(tmp_path: Path) -> None:
    def put(*names: str) -> Networks:
        for name in names:
            path = tmp_path / ZOO[name].path
            path.parent.mkdir(exist_ok=True)
            path.touch()
        return Networks(models=tmp_path)

    pulled = put("centerface", "faceplugin", "mini_xception", "edgeface_xxs").settled(held_out=True)
    assert (pulled.detector, pulled.embedder, pulled.teacher) == ("centerface", "faceplugin", "mini_xception")
    assert pulled.held_out == "edgeface_xxs"  # of another family than the embedder
    assert Networks(models=tmp_path).missed() == {
        "embedder": "edgeface_xs",
        "held_out": "mobilefacenet_192",
        "teacher": "facex",
        "detector": "scrfd_2.5g",
    }
    check_files(Networks(models=tmp_path))
    named = Networks(models=tmp_path, embedder="edgeface_xxs", teacher="faceapi").settled(held_out=True)
    assert (named.embedder, named.held_out, named.teacher) == ("edgeface_xxs", "faceplugin", "faceapi")
    assert set(Networks(models=tmp_path, embedder="edgeface_xxs", teacher="faceapi").missed()) == {
        "held_out",
        "detector",
    }
    whole = put("edgeface_xs", "mobilefacenet_192", "facex", "scrfd_2.5g")
    assert whole.settled(held_out=True) == Networks(
        tmp_path, "edgeface_xs", "", "mobilefacenet_192", "facex", "scrfd_2.5g"
    )
    assert whole.missed() == {}


def test_a_description_of_the_input_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    digest = tiny_nets.embedder(path, size=112)
    plain = convention_of("--embedder", path)
    assert plain == Convention(str(path), digest, 112, False, 127.5, 127.5, "the user's own file")
    tiny_nets.embedder(path)
    own = convention_of("--embedder", path, "size=16, layout=nchw,color=bgr,mean=0,scale=255")
    assert own.describe() == {"size": 16, "layout": "nchw", "color": "bgr", "mean": 0.0, "scale": 255.0}


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
    tiny_nets.embedder(tmp_path / "own.onnx", size=112)
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


def test_a_choice_of_networks_is_checked_before_anything_is_loaded(tmp_path: Path) -> None:
    tiny_nets.embedder(tmp_path / "own.onnx", size=112)
    check_networks(Networks())
    check_networks(Networks(embedder="buffalo_l", held_out="edgeface_xs", teacher="ferplus"))
    own = {"embedder": str(tmp_path / "own.onnx")}
    check_networks(Networks(**own, embedder_input="scale=128"))
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
        (
            {"second_embedder": "edgeface_xxs"},
            "--second-embedder edgeface_xxs: expected another .*, got EdgeFace twice",
        ),
        (
            {"second_embedder": "mobilefacenet_192", "held_out": "mobilefacenet_192"},
            "--second-embedder mobilefacenet_192: expected another family than that of --held-out mobilefacenet_192",
        ),
        (own | {"held_out": own["embedder"]}, "expected another family"),
    ]
    for change, sentence in refused:
        with pytest.raises(ValueError, match=sentence):
            check_networks(Networks(**change))


def test_missing_files_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    choice = Networks(models=tmp_path, teacher="enet_b2_8", held_out="mobilefacenet_192")
    for flag, name, how in (
        ("--detector", "scrfd_2.5g", f"python -m orchestrator.models pull scrfd_2.5g --models {tmp_path} gets it"),
        ("--embedder", "edgeface_xs", "no address of this file is known, bring it yourself"),
        ("--teacher", "enet_b2_8", f"pull enet_b2_8 --models {tmp_path} gets it"),
        ("--held-out", "mobilefacenet_192", "gets it, pull without a name a whole set"),
    ):
        path = tmp_path / ZOO[name].path
        missing = re.escape(f"{flag}: expected {name} as {path}, which is missing; ") + ".*" + re.escape(how)
        with pytest.raises(ValueError, match=missing):
            check_files(choice)
        if flag == "--held-out":
            check_files(replace(choice, held_out=None))  # nobody asks it
        path.parent.mkdir(exist_ok=True)
        path.touch()
    check_files(choice)
    check_files(replace(choice, embedder="/own.onnx"))


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
    served = {"embedder": {"backend": "torch"}, "teacher": {"backend": "torch"}, "held_out": {"backend": "onnx"}}
    chosen = networks_of(facts, served, Path("/models"))
    assert chosen == Networks(
        models=Path("/models"),
        embedder="/a/own.onnx",
        held_out="edgeface_xxs",
        teacher="facex",
        embedder_input="size=112,layout=nchw,color=rgb,mean=127.5,scale=128.0",
        backend_nets="torch",
    )
    facts["embedder"]["precision"] = "bfloat16"  # type: ignore[index]
    assert networks_of(facts, served, Path("/models")).precision == "bfloat16"
    del facts["held_out"]  # nobody asked it
    assert networks_of(facts, served, Path("/models")).held_out is None
    served["teacher"]["backend"] = "onnx"
    assert networks_of(facts, served, Path("/models")).backend_nets == "auto"


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
def test_facts_name_the_users_own_file(shared: Path) -> None:
    path = shared / "models" / EMBEDDERS["edgeface_xxs"].path
    loaded = load_models(
        Networks(models=shared / "models", embedder=str(path), embedder_input="scale=128", backend_nets="onnx"),
        threads=1,
    )
    assert loaded["facts"]["embedder"] == {
        "name": "edgeface_xxs",
        "sha256": EMBEDDERS["edgeface_xxs"].sha256,
        "terms": "the user's own file",
        "path": str(path),
        "input": {"size": 112, "layout": "nchw", "color": "rgb", "mean": 127.5, "scale": 128.0},
    }
    assert networks_of(loaded["facts"], loaded["backends"], shared).embedder == str(path)
