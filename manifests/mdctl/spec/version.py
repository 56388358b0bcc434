"""The version of mdctl, said once: the package, the image and the command line take it from here."""

VERSION = "0.1.0"
