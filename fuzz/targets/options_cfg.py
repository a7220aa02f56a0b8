"""Options of commands in setup.cfg."""

from fuzz.target import Target, literal
from fuzz.targets.options import read_options

SEEDS = (
    b"[metadata]\nname = x\n\n[pisnn-deploy.compile]\nprofile = loihi2\nmesh = 64x64\nslope = 2.5\nexplain = true\n",
    b"[pisnn-deploy.check]\nprofile = loihi2\n  loihi1\nignore = PD105\nmax-growth = 2\n",
)
WORDS = (b"[pisnn-deploy.verify]\n", b"[DEFAULT]\n", b"%(x)s", b"\xef\xbb\xbf")
TARGET = Target("setup.cfg", read_options, literal(*SEEDS), words=WORDS, size=1024)
