//! Delta debugging: the smallest part of a program that still shows a difference.

/// Leaves out items as long as `shows` holds for what is left: halves first, then smaller and
/// smaller pieces, until none of the items can be left out alone. `items` shows it as a whole.
pub fn shrink<T: Clone>(items: &[T], mut shows: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut kept = items.to_vec();
    let mut piece = kept.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < kept.len() {
            let to = (from + piece).min(kept.len());
            let rest: Vec<T> = kept[..from].iter().chain(&kept[to..]).cloned().collect();
            if shows(&rest) {
                kept = rest;
                shorter = true;
            } else {
                from = to;
            }
        }
        if piece == 1 && !shorter {
            break;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_left() {
        let items: Vec<u32> = (0..1000).collect();
        let mut tries = 0;
        let kept = shrink(&items, |rest| {
            tries += 1;
            [17, 503, 998].iter().all(|needed| rest.contains(needed))
        });
        assert_eq!(kept, [17, 503, 998]);
        assert!(tries < 200, "{tries} tries");
    }

    #[test]
    fn an_item_that_becomes_superfluous_goes_too() {
        // 1 is needed only as long as 9 is there.
        let shows = |rest: &[u32]| rest.contains(&5) && (!rest.contains(&9) || rest.contains(&1));
        assert_eq!(shrink(&(0..10).collect::<Vec<_>>(), shows), [5]);
        assert!(shrink(&[1, 2, 3], |_| true).is_empty());
    }
}
