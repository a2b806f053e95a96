//! Sparse files, on a host that knows holes.

use super::*;
use crate::notify::{Class, change};

const CLUSTER: i64 = 4096;

impl Fixture {
    fn sparse_control(
        &self,
        open: OpenId,
        control: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>, (NTSTATUS, Vec<u8>)> {
        let mut output = vec![0; room];
        let caller = Transfer {
            process: 1,
            ..Transfer::default()
        };
        let ((status, count), _) = effects(|effects| {
            let buffers = (input, &mut output[..]);
            self.volume
                .sparse_control(open, control, &caller, buffers, effects)
        });
        output.truncate(count);
        match status {
            STATUS_SUCCESS => Ok(output),
            status => Err((status, output)),
        }
    }
    fn set_sparse(&self, open: OpenId, input: &[u8]) -> NTSTATUS {
        let set = self.sparse_control(open, code::FSCTL_SET_SPARSE, input, 0);
        set.map_or_else(|(status, _)| status, |_| STATUS_SUCCESS)
    }
    fn zero(&self, open: OpenId, from: i64, to: i64) -> NTSTATUS {
        let zeroed = self.sparse_control(open, code::FSCTL_SET_ZERO_DATA, &longs([from, to]), 0);
        zeroed.map_or_else(|(status, _)| status, |_| STATUS_SUCCESS)
    }
    /// The ranges that have room among the bytes from `start` on, each with its length.
    fn ranges(&self, open: OpenId, start: i64, length: i64) -> Vec<(i64, i64)> {
        let asked = longs([start, length]);
        let told = self.sparse_control(open, code::FSCTL_QUERY_ALLOCATED_RANGES, &asked, 400);
        pairs(&told.unwrap())
    }
    /// `FILE_STANDARD_INFORMATION`: allocation and size.
    fn sizes(&self, open: OpenId) -> (i64, i64) {
        let bytes = self.query(open, FileStandardInformation, 24).unwrap();
        pairs(&bytes[..16])[0]
    }
    fn set_size(&self, open: OpenId, size: i64) {
        let set = self.set(open, FileEndOfFileInformation, &size.to_le_bytes());
        assert_eq!(set, STATUS_SUCCESS);
    }
}

fn longs(values: [i64; 2]) -> Vec<u8> {
    values.into_iter().flat_map(i64::to_le_bytes).collect()
}

fn pairs(bytes: &[u8]) -> Vec<(i64, i64)> {
    let longs: Vec<i64> = bytes
        .chunks(8)
        .map(|long| i64::from_le_bytes(long.try_into().unwrap()))
        .collect();
    longs.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

#[test]
fn what_is_not_written_has_no_room() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.set_size(f, 16 * CLUSTER);
    assert_eq!(fixture.sizes(f), (16 * CLUSTER, 16 * CLUSTER));
    // Of a file that is not sparse, what is asked for is told.
    assert_eq!(fixture.ranges(f, 5, 100_000), [(5, 100_000)]);
    // What has room when it becomes sparse keeps it, and what was never written gets none.
    fixture.write(f, 0, &[1; 2 * CLUSTER as usize]);
    assert_eq!(fixture.set_sparse(f, &[]), STATUS_SUCCESS);
    assert_eq!(
        fixture.attributes(f) & attribute::SPARSE_FILE,
        attribute::SPARSE_FILE
    );
    assert_eq!(fixture.ranges(f, 0, i64::MAX), [(0, 2 * CLUSTER)]);
    fixture.set_size(f, 100 * CLUSTER);
    assert_eq!(fixture.sizes(f), (2 * CLUSTER, 100 * CLUSTER));
    fixture.write(f, 40 * CLUSTER + 5, b"data");
    let clusters = [(0, 2 * CLUSTER), (40 * CLUSTER, CLUSTER)];
    assert_eq!(fixture.ranges(f, 0, 100 * CLUSTER), clusters);
    // Only what is asked for is told, to the byte.
    assert_eq!(
        fixture.ranges(f, 40 * CLUSTER + 6, 3),
        [(40 * CLUSTER + 6, 3)]
    );
    assert_eq!(fixture.ranges(f, 50 * CLUSTER, CLUSTER), []);
    assert_eq!(fixture.ranges(f, 0, 0), []);
    assert_eq!(fixture.sizes(f).0, 3 * CLUSTER);
    let compressed = |open| {
        let bytes = fixture.query(open, FileCompressionInformation, 16);
        pairs(&bytes.unwrap())[0].0
    };
    assert_eq!(compressed(f), 3 * CLUSTER);
    // A stream of it is not sparse for that.
    let stream = fixture.open(r"\f:s", FILE_CREATE, 0);
    fixture.write(stream, 0, b"data");
    assert_eq!(compressed(stream), 4);
    // One that is sparse no more has room for all.
    assert_eq!(fixture.set_sparse(f, &[0]), STATUS_SUCCESS);
    assert_eq!(fixture.attributes(f) & attribute::SPARSE_FILE, 0);
    assert_eq!(fixture.sizes(f).0, 100 * CLUSTER);
    assert_eq!(fixture.set_sparse(f, &[1]), STATUS_SUCCESS);
    assert_eq!(fixture.ranges(f, 0, 100 * CLUSTER), clusters);
    assert_eq!(fixture.read(f, 40 * CLUSTER + 5, 4).unwrap(), b"data");
}

#[test]
fn zeroes_give_whole_clusters_back() {
    let fixture = new();
    for sparse in [true, false] {
        let f = fixture.open(r"\f", FILE_OVERWRITE_IF, 0);
        fixture.write(f, 0, &[7; 10 * CLUSTER as usize + 5]);
        if sparse {
            fixture.set_sparse(f, &[1]);
        }
        assert_eq!(
            fixture.zero(f, CLUSTER + 100, 4 * CLUSTER + 1),
            STATUS_SUCCESS
        );
        let seen = fixture.read(f, 0, 11 * CLUSTER as usize).unwrap();
        assert_eq!(seen.len() as i64, 10 * CLUSTER + 5);
        let zero = |byte: usize| (CLUSTER + 100..4 * CLUSTER + 1).contains(&(byte as i64));
        let wrong = seen
            .iter()
            .enumerate()
            .position(|(at, byte)| (*byte == 0) != zero(at));
        assert_eq!(wrong, None);
        // The end of the file is the end of a cluster; behind it nothing happens.
        assert_eq!(fixture.zero(f, 9 * CLUSTER, i64::MAX), STATUS_SUCCESS);
        assert_eq!(fixture.zero(f, 90 * CLUSTER, 91 * CLUSTER), STATUS_SUCCESS);
        assert_eq!(fixture.sizes(f).1, 10 * CLUSTER + 5);
        let ranges = match sparse {
            true => vec![(0, 2 * CLUSTER), (4 * CLUSTER, 5 * CLUSTER)],
            false => vec![(0, 11 * CLUSTER)],
        };
        assert_eq!(fixture.ranges(f, 0, 11 * CLUSTER), ranges);
        // What has no room gets none.
        assert_eq!(
            fixture.zero(f, 9 * CLUSTER + 1, 9 * CLUSTER + 2),
            STATUS_SUCCESS
        );
        assert_eq!(fixture.ranges(f, 0, 11 * CLUSTER), ranges);
        fixture.close(f);
    }
}

#[test]
fn who_may_not_is_refused() {
    let fixture = new();
    fixture.make(r"\f", &[1; 100]);
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    for (from, to) in [(-1, 5), (5, -1), (6, 5)] {
        assert_eq!(
            fixture.zero(f, from, to),
            STATUS_INVALID_PARAMETER,
            "{from} {to}"
        );
    }
    let short = fixture.sparse_control(f, code::FSCTL_SET_ZERO_DATA, &[0; 15], 0);
    assert_eq!(short, Err((STATUS_INVALID_PARAMETER, vec![])));
    let keeping = [longs([0, 5]), longs([1, 0])].concat();
    let kept = fixture.sparse_control(f, code::FSCTL_SET_ZERO_DATA, &keeping, 0);
    assert_eq!(kept, Ok(vec![]), "a driver may ask for it");
    let other = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.lock(other, 0, true, None);
    assert_eq!(fixture.zero(f, 5, 6), STATUS_FILE_LOCK_CONFLICT);
    assert_eq!(fixture.zero(f, 10, 20), STATUS_SUCCESS);
    let reader = Request {
        desired: access::READ_DATA,
        ..request(r"\f", FILE_OPEN, 0)
    };
    let reader = fixture.try_open(&reader).unwrap().open;
    assert_eq!(fixture.set_sparse(reader, &[1]), STATUS_ACCESS_DENIED);
    let query = |open, asked: [i64; 2], room| {
        let asked = longs(asked);
        let told = fixture.sparse_control(open, code::FSCTL_QUERY_ALLOCATED_RANGES, &asked, room);
        told.map_err(|(status, _)| status)
    };
    assert_eq!(query(f, [0, 5], 15), Err(STATUS_BUFFER_TOO_SMALL));
    for asked in [[-1, 5], [0, -1], [5, i64::MAX]] {
        assert_eq!(
            query(f, asked, 16),
            Err(STATUS_INVALID_PARAMETER),
            "{asked:?}"
        );
    }
    for name in [r"\", ""] {
        let open = fixture.open(name, FILE_OPEN, 0);
        assert_eq!(fixture.set_sparse(open, &[1]), STATUS_INVALID_PARAMETER);
        assert_eq!(fixture.zero(open, 0, 1), STATUS_INVALID_PARAMETER);
        assert_eq!(query(open, [0, 1], 16), Err(STATUS_INVALID_PARAMETER));
    }
    // A list that does not fit is cut off.
    fixture.set_sparse(f, &[1]);
    fixture.write(f, 9 * CLUSTER, b"x");
    let asked = longs([0, 10 * CLUSTER]);
    let cut = fixture.sparse_control(f, code::FSCTL_QUERY_ALLOCATED_RANGES, &asked, 31);
    let (status, first) = cut.unwrap_err();
    assert_eq!(
        (status, pairs(&first)),
        (STATUS_BUFFER_OVERFLOW, vec![(0, CLUSTER)])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_room_on_the_host_gets_none() {
    use std::os::unix::fs::MetadataExt;
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.set_size(f, 1 << 24);
    let blocks = || fixture.host("f").metadata().unwrap().blocks();
    assert_eq!(fixture.zero(f, 0, i64::MAX), STATUS_SUCCESS);
    for sparse in [1, 0] {
        assert_eq!(fixture.set_sparse(f, &[sparse]), STATUS_SUCCESS);
        assert_eq!(blocks(), 0);
    }
    // However large it is.
    fixture.set_size(f, 1 << 40);
    assert_eq!(fixture.zero(f, 5, (1 << 40) - 5), STATUS_SUCCESS);
    assert_eq!(blocks(), 0);
}

/// Who has set the last write keeps it.
#[test]
fn zeroes_leave_a_time_that_was_set() {
    let fixture = new();
    fixture.make(r"\f", &[1; 100]);
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    let mut basic = vec![0; 40];
    basic[16..24].copy_from_slice(&[7; 8]);
    basic[23] = 1;
    fixture.set(f, FileBasicInformation, &basic);
    let written = || fixture.query(f, FileBasicInformation, 40).unwrap()[16..24].to_vec();
    let old = written();
    assert_eq!(fixture.zero(f, 0, 5), STATUS_SUCCESS);
    assert_eq!(written(), old);
}

#[test]
fn the_record_has_what_it_was_closed_with() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    fixture.set_sparse(f, &[1]);
    fixture.write(f, 0, &[1; 8 * CLUSTER as usize]);
    fixture.close(f);
    let told = |fixture: &Fixture| {
        let state = fixture.volume.state_at(&request(r"\f", FILE_OPEN, 0));
        state.unwrap().allocation
    };
    assert_eq!(told(&fixture), 8 * CLUSTER);
    // Its end is set, and the box ends without a close.
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.set_size(f, 2 * CLUSTER);
    let fixture = fixture.remount(false, |_| {});
    assert_eq!(told(&fixture), 2 * CLUSTER);
    // A view of it is written when the handle is closed.
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    fixture.set_size(f, 9 * CLUSTER);
    let (_, _) = effects(|effects| fixture.volume.cleanup(f, effects));
    let paging = Transfer {
        offset: 8 * CLUSTER,
        paging: true,
        ..Transfer::default()
    };
    let written = fixture.volume.write(f, &paging, &[1; CLUSTER as usize]);
    assert_eq!(written.0.0, STATUS_SUCCESS);
    fixture.volume.close(f);
    assert_eq!(told(&fixture), 3 * CLUSTER);
}

#[test]
fn it_is_kept_told_and_ends_when_the_file_is_made_anew() {
    let fixture = new();
    let f = fixture.open(r"\f", FILE_CREATE, 0);
    let root = fixture.open(r"\", FILE_OPEN, 0);
    let watched = (change::ATTRIBUTES, false);
    let waits = fixture
        .volume
        .notify(root, watched, Class::Plain, 100, Ticket(1), &|| true);
    assert_eq!(waits, Outcome::Waiting);
    let caller = Transfer::default();
    let (_, finished) = effects(|effects| {
        let buffers = (&[1][..], &mut [][..]);
        let control = code::FSCTL_SET_SPARSE;
        fixture
            .volume
            .sparse_control(f, control, &caller, buffers, effects)
    });
    assert_eq!((finished.len(), finished[0].data[4]), (1, 3));
    fixture.write(f, 30 * CLUSTER, b"x");
    fixture.close(f);
    fixture.close(root);
    let fixture = fixture.remount(false, |_| {});
    let state = |name| {
        fixture
            .volume
            .state_at(&request(name, FILE_OPEN, 0))
            .unwrap()
    };
    assert_eq!(state(r"\f").allocation, CLUSTER);
    let f = fixture.open(r"\f", FILE_OPEN, 0);
    assert_eq!(fixture.sizes(f), (CLUSTER, 30 * CLUSTER + 1));
    assert_eq!(
        fixture.ranges(f, 0, 40 * CLUSTER),
        [(30 * CLUSTER, CLUSTER)]
    );
    fixture.close(f);
    let f = fixture.open(r"\f", FILE_OVERWRITE, 0);
    fixture.set_size(f, 10 * CLUSTER);
    assert_eq!(fixture.attributes(f), attribute::ARCHIVE);
    assert_eq!(fixture.sizes(f).0, 10 * CLUSTER);
}
