// A phone has room for one picture: the divider shows both.
() => matchMedia("(max-width: 640px)").matches ? "wipe" : "side by side"
