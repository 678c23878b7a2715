"""The exporter stays small: the standard library and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_exporter_imports_the_standard_library_only() -> None:
    program = (
        "import sys, exporters.docker.cli;"
        "roots = {name.partition('.')[0] for name in sys.modules};"
        "print(*sorted(roots - sys.stdlib_module_names - {'__main__', 'exporters'}))"
    )
    # -S: no site-packages, where .pth files would import things on their own account.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert (done.stdout.split(), done.stderr) == ([], "")
