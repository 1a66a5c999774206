#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
The HTTP tests in the root of Debian 13, whose llhttp is another one than this system's: the same bytes, the same answers.
"""

import subprocess
import sys

COMMAND = """
tests/deps build unit
make -s say= WERROR=1 http-tests
tests/run build/tests/unit/http_*_test build/tests/fuzz/http_fuzz
"""

print("1..1")
result = subprocess.run(["tests/root", "sh", "-euc", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
for line in result.stdout.splitlines():
    print(f"# {line}")
print("ok" if result.returncode == 0 else "not ok", "1 - the HTTP tests pass with Debian 13's llhttp")
sys.exit(result.returncode != 0)
