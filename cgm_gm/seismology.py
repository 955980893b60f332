"""What we use of ObsPy, in one place, imported without the warning of how it looks for its plug-ins on Python 3.11."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "SelectableGroups dict interface", DeprecationWarning)
    import obspy
    from obspy.core.inventory import Channel, Inventory, Response
    from obspy.signal.trigger import ar_pick, recursive_sta_lta

__all__ = ["Channel", "Inventory", "Response", "ar_pick", "obspy", "recursive_sta_lta"]
