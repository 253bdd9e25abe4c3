def show(stack, console): pass
