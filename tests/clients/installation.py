"""What the Node driver imports: the pinned npm clients, and our own provider as it is published."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.clients.kinds import PROVIDER

_FOLDER = Path(__file__).parent
_PUBLISHED = _FOLDER / "dist" / "node_modules" / "collab-provider"
_WEB_DEMO = PROVIDER.parent
_SECONDS = 300


def install() -> None:
    """Installs and builds what is not there, or made of something else than is there now."""
    lock = _FOLDER / "package-lock.json"
    with lock.open() as held:
        # Tests of other processes may want the same at the same time.
        fcntl.flock(held, fcntl.LOCK_EX)
        # What the lock says counts, not its age: a fresh checkout makes every file anew.
        stamp = _FOLDER / "node_modules" / ".installed-lock.json"
        if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
            # y-websocket 1 and 2 name a native database for their servers; clients do without.
            _install_packages(_FOLDER, "--omit=optional")
            shutil.copyfile(lock, stamp)
        sources = [*(PROVIDER / "src").rglob("*"), *PROVIDER.glob("*.json")]
        newest = max(source.stat().st_mtime for source in sources)
        if not _PUBLISHED.exists() or _PUBLISHED.stat().st_mtime < newest:
            if not (_WEB_DEMO / "node_modules" / ".bin" / "tsc").exists():
                _install_packages(_WEB_DEMO)
            _publish()


def _install_packages(folder: Path, *options: str) -> None:
    command = ["npm", "ci", "--no-audit", "--no-fund", *options]
    subprocess.run(command, cwd=folder, check=True, timeout=_SECONDS)


def _publish() -> None:
    """Packs the provider as ``npm publish`` does, and unpacks it where Node finds it."""
    packed = _FOLDER / "dist" / "packed"
    for folder in (packed, _PUBLISHED):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    command = ["npm", "pack", "--silent", "--pack-destination", str(packed)]
    subprocess.run(command, cwd=PROVIDER, check=True, timeout=_SECONDS, stdout=subprocess.DEVNULL)
    (archive,) = packed.iterdir()
    # Not with tarfile: it has filters only since Python 3.11.4.
    unpacking = ["tar", "-xzf", str(archive), "-C", str(_PUBLISHED), "--strip-components=1"]
    subprocess.run(unpacking, check=True, timeout=_SECONDS)
    _PUBLISHED.touch()
