"""What we use of ObsPy, in one place, imported without the warning of how it looks for its plug-ins on Python 3.11."""

import struct
import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "SelectableGroups dict interface", DeprecationWarning)
    import obspy
    from obspy.core.inventory import Channel, Inventory, Response
    from obspy.core.util.obspy_types import ObsPyException
    from obspy.signal.trigger import ar_pick, recursive_sta_lta

# what ObsPy's readers raise at files of another kind, damaged or cut
READ_ERRORS = (
    ObsPyException,
    OSError,
    EOFError,
    struct.error,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
)

__all__ = ["READ_ERRORS", "Channel", "Inventory", "Response", "ar_pick", "obspy", "recursive_sta_lta"]
