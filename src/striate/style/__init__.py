"""Style transfer: one picture's content in another's style (Gatys, Ecker and Bethge 2015, 2016)."""
