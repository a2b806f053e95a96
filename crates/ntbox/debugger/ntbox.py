"""lldb under ntbox: `command script import crates/ntbox/debugger/ntbox.py`.

Tells lldb of each driver that ntbox maps, before its DriverEntry runs, with the symbols of the PDB beside it:
breakpoints on functions and lines of the driver work from then on. Needs an ntbox that was built with debug
information for its own code (cargo's dev profile), since the place of the image is read from there.
"""

import lldb

# Called once for each image, when it is complete and before anything in it runs.
MAPPED = "ntbox_kernel::pe_image::Image::protect"


# Where the images of each process lie, in the order in which they were mapped.
BASES = {}


def drivers(target):
    """The files that --driver names, in the order in which they are loaded."""
    info = target.GetLaunchInfo()
    words = [info.GetArgumentAtIndex(at) for at in range(info.GetNumArguments())]
    named = [value for word, value in zip(words, words[1:]) if word == "--driver"]
    return named + [word.split("=", 1)[1] for word in words if word.startswith("--driver=")]


def mapped(frame, _location, _extra, _internal):
    """An image was mapped: adds it as a module, and goes on."""
    process = frame.GetThread().GetProcess()
    target = process.GetTarget()
    base = frame.FindVariable("self").Dereference().GetChildMemberWithName("base").GetValueAsUnsigned()
    order = BASES.setdefault(process.GetUniqueID(), [])
    if base not in order:
        order.append(base)
    files = drivers(target)
    at = order.index(base)
    if not base or at >= len(files):
        return False
    module = target.AddModule(files[at], "x86_64-pc-windows-msvc", None)
    if not module or not module.IsValid():
        print(f"ntbox: lldb cannot read {files[at]}")
        return False
    header = module.GetObjectFileHeaderAddress().GetFileAddress()
    error = target.SetModuleLoadAddress(module, base - header)
    if error.Fail():
        print(f"ntbox: {files[at]}: {error.GetCString()}")
        return False
    symbols = "with its symbols" if module.GetNumCompileUnits() else "without symbols: no PDB beside it"
    print(f"ntbox: {files[at]} is at {base:#x}, {symbols}")
    return False


def image(debugger, words, _context, result, _internal):
    """ntbox-image FILE ADDRESS: the driver FILE has its .text at ADDRESS, as in /proc/PID/maps."""
    file, address = words.split()
    target = debugger.GetSelectedTarget()
    module = target.AddModule(file, "x86_64-pc-windows-msvc", None)
    if not module or not module.IsValid():
        result.SetError(f"lldb cannot read {file}")
        return
    text = module.FindSection(".text").GetFileAddress()
    error = target.SetModuleLoadAddress(module, int(address, 16) - text)
    if error.Fail():
        result.SetError(error.GetCString())


def __lldb_init_module(debugger, _internal):
    # ntbox handles faults of drivers itself: their guard pages, and privileged instructions.
    for signal in ("SIGSEGV", "SIGBUS", "SIGILL"):
        debugger.HandleCommand(f"process handle --pass true --stop false --notify false {signal}")
    debugger.HandleCommand(f"command script add --function {__name__}.image ntbox-image")
    target = debugger.GetSelectedTarget()
    breakpoint = target.BreakpointCreateByName(MAPPED)
    breakpoint.SetScriptCallbackFunction(f"{__name__}.mapped")
    if breakpoint.GetNumLocations() == 0:
        print("ntbox: this ntbox has no debug information; build it with cargo's dev profile")
