"""The SHA-256 of each reference set's file, by its number and its task. A number that is published never changes."""

from __future__ import annotations

from typing import Final

DIGESTS: Final[dict[int, dict[str, str]]] = {
    1: {
        "drawer": "07d6d1e2382cb28a986b4a31724bdc2b05d8d4c6cf591b37b955c97f1b915734",
        "fetch": "e271ee7bc06b450e4aa0351f76bca5e75ff9bb6f15f8a2efcdf50ea7a560e41c",
        "handover": "dfeef5281d4f0bbe180804f4fb276c14cc4021d265b664d81f7f5f314d294169",
        "lift": "f98934504bc86f1238fdfb456043063b28996ee811a4b94062f728f7739fdf60",
        "peg": "d578cea8b35b3b75b5a1552f66fe0319f4081fcce841925b62a06642b40c41bb",
        "pick_place": "b1eb8ad634d02b3b131c00119b6ec217592ab6a704c1c315125b60e523409cd4",
        "pour": "046f2064607589bc049cf4a0dd884d5b7632e0d3a21c2d704caae8bc9a4ec641",
        "push": "3ca7725e718ab4f26a5a569957de9feb594fde658be75ddb1877e733c98dbec0",
        "reach": "2909ee698e962e368b16d26d62c4d002efc89e4312021ad9834180f6009d9292",
        "sort": "5e28eceeb6c280e32d1cb9c0aef6c08c03ca67e00ef731f0c6248fa07fb889e3",
        "stack": "2007ad31f40e22a7d15f07152b9a8e3de979f6f63000e217a289ea36eff1439b",
    },
}
