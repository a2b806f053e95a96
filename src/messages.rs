// The messages of the event log: code, name, and the text that build.rs puts into the message table
// of the image. Included by both the driver and build.rs, each with a macro `messages` of its own.
//
// A code is an NTSTATUS of the I/O error facility (4) with the customer bit: 0xE004.... for an
// error, 0xA004.... for a warning, 0x6004.... for information. %1 is the driver, which the I/O
// manager puts in; the others are given by src/report.rs.

messages! {
    0xE004_0001 LOAD_REFUSED:
        "The driver did not start: %2 failed with status %3. What had been set up was undone.";
    0xA004_0002 SETTING_IGNORED:
        "The setting %2 is not a number from 0 to %3, or cannot be read (status %4). It counts as %5.";
    0xA004_0003 ATTACH_REFUSED:
        "%2 stays unfiltered: attaching to it failed with status %3.";
    0xA004_0004 ATTACH_REFUSED_DIRECT_ACCESS:
        "%2 stays unfiltered: it is a direct access (DAX) volume, to which Windows lets no legacy filter attach (status %3).";
    0xA004_0005 ATTACH_BLOCKED:
        "%2 stays unfiltered: IoBlockLegacyFsFilters in the registry tells Windows to keep legacy filters off (status %3).";
    0xA004_0006 LIST_FAILED:
        "The volumes that %2 had mounted before the driver started stay unfiltered: listing them failed with status %3.";
    0x6004_0008 VOLUME_GONE:
        "%2 was dismounted before the driver could attach to it (status %3).";
    0xA004_0009 MOUNTS_NOT_AWAITED:
        "A volume that is being mounted at this moment may stay unfiltered: waiting for mounts to end failed with status %2.";
}
