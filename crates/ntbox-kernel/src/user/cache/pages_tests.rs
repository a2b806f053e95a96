use super::*;

const ALL: Bytes = 0..END;

/// A stream of three and a half pages, each of which holds its number plus one.
const SIZE: u64 = 3 * PAGE as u64 + 2048;

fn file() -> Vec<u8> {
    (0..SIZE)
        .map(|place| (place / PAGE as u64 + 1) as u8)
        .collect()
}

/// Reads as the cache manager does.
fn read(pages: &mut Pages, offset: u64, length: usize) -> (Vec<u8>, Vec<(u64, u64)>) {
    let (mut buffer, mut asked) = (vec![0xEE; length], Vec::new());
    loop {
        match pages.read(offset, &mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                return (buffer, asked);
            }
            Err(missing) => {
                asked.push((missing.offset, missing.pages));
                let from = missing.offset as usize;
                let to = (from + missing.pages as usize * PAGE).min(SIZE as usize);
                assert!(pages.enter(missing, &file()[from..to]));
            }
        }
    }
}

#[test]
fn what_is_here_is_not_read_again() {
    let mut pages = Pages::new(SIZE);
    let (data, asked) = read(&mut pages, 4000, 200);
    assert_eq!(data, file()[4000..4200]);
    assert_eq!(asked, [(0, 2)]);
    let (data, asked) = read(&mut pages, 0, 20_000);
    assert_eq!(data, file());
    assert_eq!(asked, [(8192, 2)], "the rest, in one request");
    assert_eq!(read(&mut pages, SIZE, 10), (Vec::new(), Vec::new()));
    assert_eq!(read(&mut pages, SIZE + 1, 10), (Vec::new(), Vec::new()));
}

#[test]
fn one_request_is_of_no_more_than_sixteen_pages() {
    let pages = Pages::new(40 * PAGE as u64);
    let missing = pages
        .first_missing(&(PAGE as u64..40 * PAGE as u64))
        .expect("nothing is here");
    assert_eq!((missing.offset, missing.pages), (4096, 16));
}

#[test]
fn a_page_that_is_written_as_a_whole_is_not_read() {
    let mut pages = Pages::new(SIZE);
    assert_eq!(pages.write(PAGE as u64, &[9; PAGE]), Ok(()));
    let missing = pages
        .write(4000, &[9; 200])
        .expect_err("the first page is not here");
    assert_eq!((missing.offset, missing.pages), (0, 1));
    assert!(pages.enter(missing, &file()[..PAGE]));
    assert_eq!(pages.write(4000, &[9; 200]), Ok(()));
    let run = pages.take_dirty(&ALL).expect("two pages are dirty");
    assert_eq!((run.offset, run.bytes.len()), (0, 2 * PAGE));
    assert_eq!(run.bytes[3999..4001], [1, 9]);
    assert_eq!(pages.take_dirty(&ALL), None, "they are being written");
    assert!(pages.is_being_written(&(0..1)) && !pages.is_being_written(&(8192..8193)));
    pages.written(&run, true);
    assert!(!pages.is_dirty(&ALL));
}

#[test]
fn what_was_never_written_is_zero_and_not_read() {
    let mut pages = Pages::new(0);
    pages.set_size(4 * PAGE as u64);
    assert_eq!(pages.write(2 * PAGE as u64 + 1, &[7]), Ok(()));
    let (data, asked) = read(&mut pages, 0, 4 * PAGE);
    assert_eq!(asked, []);
    assert_eq!(data.iter().position(|byte| *byte != 0), Some(2 * PAGE + 1));
    let run = pages.take_dirty(&ALL).expect("it is dirty");
    assert_eq!(
        (run.offset, run.bytes.len()),
        (0, 3 * PAGE),
        "with the zeros in front of it"
    );
}

#[test]
fn a_view_and_the_cache_write_a_page_one_after_the_other() {
    let page = |byte| [byte; PAGE];
    let mut pages = Pages::new(SIZE);
    assert_eq!(pages.write(0, &page(9)), Ok(()));
    let run = pages.take_dirty(&ALL).expect("it is dirty");
    assert_eq!(pages.show(0, &page(5)), None, "it is being written");
    pages.written(&run, true);
    let shown = pages.show(0, &page(5)).expect("nobody writes it");
    assert!(pages.is_being_written(&ALL) && !pages.is_taken(&ALL));
    assert_eq!(read(&mut pages, 0, 1).0, [5]);
    assert_eq!(pages.write(0, &[6]), Ok(()));
    assert_eq!(pages.take_dirty(&ALL), None, "the view writes it");
    pages.written(&shown, true);
    let run = pages.take_dirty(&ALL).expect("it was changed meanwhile");
    assert_eq!(run.bytes[..2], [6, 5]);
    pages.written(&run, true);
    let shown = pages.show(0, &page(4)).expect("nobody writes it");
    pages.written(&shown, false);
    assert_eq!(pages.dirty(), 1, "it could not be written");
    let shown = pages.show(PAGE as u64, &page(3)).expect("nobody writes it");
    pages.written(&shown, false);
    assert_eq!(pages.dirty(), 1, "the cache does not have it");
}

#[test]
fn what_was_read_for_one_cache_does_not_enter_another() {
    let missing = Pages::new(SIZE)
        .first_missing(&(0..1))
        .expect("nothing is here");
    assert!(!Pages::new(SIZE).enter(missing, &[1; PAGE]));
}

#[test]
fn a_page_that_is_changed_while_it_is_written_is_written_again() {
    let mut pages = Pages::new(SIZE);
    assert_eq!(pages.write(0, &[9; PAGE]), Ok(()));
    let run = pages.take_dirty(&ALL).expect("it is dirty");
    assert_eq!(pages.write(0, &[8; PAGE]), Ok(()));
    pages.written(&run, true);
    assert_eq!(pages.dirty(), 1);
    let run = pages.take_dirty(&ALL).expect("it is dirty again");
    assert_eq!(run.bytes[0], 8);
    pages.written(&run, false);
    assert_eq!(pages.dirty(), 1, "it could not be written");
}

#[test]
fn what_is_cut_off_does_not_come_back() {
    let mut pages = Pages::new(SIZE);
    let (_, asked) = read(&mut pages, 0, 20_000);
    assert_eq!(asked.len(), 1);
    pages.set_size(100);
    pages.set_size(SIZE);
    let (data, asked) = read(&mut pages, 0, 20_000);
    assert!(asked.is_empty(), "what was never written since is not read");
    assert_eq!(data[..100], file()[..100]);
    assert!(data[100..].iter().all(|byte| *byte == 0));
}

#[test]
fn what_is_being_written_when_it_is_cut_off_is_written_over() {
    let mut pages = Pages::new(0);
    pages.set_size(SIZE);
    assert_eq!(pages.write(0, &[9; SIZE as usize]), Ok(()));
    let run = pages.take_dirty(&ALL).expect("it is dirty");
    pages.set_size(100);
    pages.set_size(SIZE);
    pages.written(&run, true);
    let again = pages
        .take_dirty(&ALL)
        .expect("the file has what was cut off");
    assert_eq!(again.bytes.len(), run.bytes.len());
    assert_eq!(again.bytes.iter().filter(|byte| **byte == 9).count(), 100);
}

#[test]
fn what_is_being_written_stays_here() {
    let mut pages = Pages::new(SIZE);
    assert_eq!(pages.write(0, &[9; 2 * PAGE]), Ok(()));
    let run = pages.take_dirty(&(0..1)).expect("it is dirty");
    pages.take_away(&ALL);
    let (data, asked) = read(&mut pages, 0, 2 * PAGE);
    assert_eq!(
        asked,
        [(4096, 1)],
        "the file may have the first page as it was before"
    );
    assert_eq!((data[0], data[PAGE]), (9, 2));
    pages.written(&run, true);
}

#[test]
fn what_was_read_before_something_was_taken_away_is_not_entered() {
    for taken in [
        (|pages: &mut Pages| pages.take_away(&(0..1))) as fn(&mut Pages),
        |pages| pages.set_size(10),
        |pages| pages.written_around(0, &[5; 10]),
        |pages| pages.zeroed_around(&(0..10)),
    ] {
        let mut pages = Pages::new(SIZE);
        let missing = pages.read(0, &mut [0; 10]).expect_err("nothing is here");
        taken(&mut pages);
        assert!(!pages.enter(missing, &[1; PAGE]));
    }
}

#[test]
fn what_is_written_around_the_cache_is_in_it() {
    let mut pages = Pages::new(SIZE);
    assert_eq!(pages.write(0, &[9; PAGE]), Ok(()));
    let run = pages.take_dirty(&ALL).expect("it is dirty");
    pages.written_around(512, &[5; 512]);
    pages.written(&run, true);
    let again = pages
        .take_dirty(&ALL)
        .expect("the host has what was in the page before");
    assert_eq!(again.bytes[511..513], [9, 5]);
    pages.written(&again, true);
    pages.written_around(0, &[4; 512]);
    assert!(!pages.is_dirty(&ALL), "nobody was writing it");
    assert_eq!(read(&mut pages, 0, 2).1, [(0, 1)], "it is read again");
    assert_eq!(pages.write(0, &[9; PAGE]), Ok(()));
    pages.zeroed_around(&(10..1 << 40));
    let again = pages.take_dirty(&ALL).expect("it is dirty still");
    assert_eq!(again.bytes[9..11], [9, 0]);
    assert!(again.bytes[10..].iter().all(|byte| *byte == 0));
}
