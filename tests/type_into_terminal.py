"""Sits at a terminal in front of a program, as a person would.

Reads one JSON object from stdin: `argv`, `cwd`, `env`, `size` [rows, columns] and `steps`. A step is
  {"type": TEXT}                  types
  {"wait": TEXT}                  until the program has shown the text since something was last typed
  {"ready": true}                 until it reads lines (again) since something was last typed
  {"asked": true}                 until it has taken what was typed, and reads no more
  {"press": KEY, "until": TEXT}   now and then, until it has shown the text
Prints a JSON object: `shown`, all that the program wrote, without escape sequences; `raw`, with them; `exit`,
its exit code, or none where it had to be killed; `failed`, the step that was in vain."""

import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from fcntl import ioctl

PATIENCE = 240
ESCAPES = re.compile(r"\x1b\[[0-9;?<>=!]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|\x1b[@-Z\\-_]|\x1b[()][A-Z0-9]|\x1b[=>78]")

job = json.load(sys.stdin)
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(job["cwd"])
    os.execve(job["argv"][0], job["argv"], job["env"])
ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *job["size"], 0, 0))

raw, seen, asked = "", 0, 0


def plain(text):
    return ESCAPES.sub("", text).replace("\r", "")


def read(seconds):
    """What comes within that time. False at the end of the program."""
    global raw, asked
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return True
    try:
        piece = os.read(terminal, 1 << 16)
    except OSError:
        return False
    raw += piece.decode("utf-8", "replace")
    # Who asks where the cursor is gets the answer of a terminal whose cursor is at the bottom.
    for question in re.finditer(re.escape("\x1b[6n"), raw[asked:]):
        os.write(terminal, b"\x1b[%d;1R" % job["size"][0])
    asked = raw.rfind("\x1b[6n") + 4 if "\x1b[6n" in raw else 0
    return bool(piece)


# A shell that reads lines says so: only then a pasted text is told from a typed one.
READS = "\x1b[?2004h"
READS_NO_MORE = "\x1b[?2004l"


def wait(is_there, press=None):
    """Until it is there. Whoever presses a key does so every few seconds: it may come too early."""
    began = time.monotonic()
    pressed = 0
    alive = True
    while not is_there():
        waited = time.monotonic() - began
        if not alive or waited > PATIENCE:
            return False
        if press and waited > 1 + 5 * pressed:
            os.write(terminal, press.encode())
            pressed += 1
        alive = read(0.2)
    return True


def shows(text):
    return lambda: text in plain(raw[seen:])


failed = None
for step in job["steps"]:
    if "type" in step:
        seen = len(raw)
        os.write(terminal, step["type"].encode())
        continue
    if "press" in step:
        done = wait(shows(step["until"]), step["press"])
    elif "ready" in step:
        done = wait(lambda: READS in raw[seen:])
    elif "asked" in step:
        done = wait(lambda: READS_NO_MORE in raw[seen:])
    else:
        done = wait(shows(step["wait"]))
    if not done:
        failed = step
        break

code = None
until = time.monotonic() + (0 if failed else PATIENCE)
while code is None and time.monotonic() < until:
    read(0.1)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        code = os.waitstatus_to_exitcode(status)
if code is None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print(json.dumps({"shown": plain(raw), "raw": raw, "exit": code, "failed": failed}))
