"""One module for each shape in which people have labels; `learn.dataset` finds the right one."""
