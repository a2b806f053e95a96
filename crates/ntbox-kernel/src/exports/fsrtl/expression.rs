//! Patterns of directory queries (`FsRtlIsNameInExpression`).
//!
//! | unit | name | meaning |
//! |---|---|---|
//! | `*` | | zero or more characters |
//! | `?` | | exactly one character |
//! | `<` | `DOS_STAR` | zero or more characters, but not the last period |
//! | `>` | `DOS_QM` | one character; nothing at a period or at the end |
//! | `"` | `DOS_DOT` | a period; nothing at the end |
//!
//! Nothing is special about `*.*` here: it wants a period. The Win32 functions
//! turn it into `*` before a file system sees it.

use crate::nt::case::upcase;

/// Whether `name` matches `expression`. With `ignore_case` both are compared in upper case.
///
/// An empty expression or name matches only the other being empty.
pub fn matches(expression: &[u16], name: &[u16], ignore_case: bool) -> bool {
    if expression.is_empty() || name.is_empty() {
        return expression.is_empty() && name.is_empty();
    }
    let last_period = name.iter().rposition(|unit| *unit == u16::from(b'.'));
    // `reached[i]`: the first i units of the expression match what was read of the name.
    let mut reached = vec![false; expression.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    pass_without_reading(expression, &mut reached, name.first().copied());
    for (position, unit) in name.iter().enumerate() {
        let mut next = vec![false; reached.len()];
        for (index, wanted) in expression.iter().enumerate() {
            if !reached.get(index).is_some_and(|reached| *reached) {
                continue;
            }
            let period = *unit == u16::from(b'.');
            let (stay, advance) = match u8::try_from(*wanted) {
                Ok(b'*') => (true, false),
                Ok(b'<') => (last_period != Some(position), false),
                Ok(b'>') => (false, !period),
                Ok(b'"') => (false, period),
                Ok(b'?') => (false, true),
                _ => (
                    false,
                    wanted == unit || ignore_case && upcase(*wanted) == upcase(*unit),
                ),
            };
            if let Some(slot) = next.get_mut(index) {
                *slot |= stay;
            }
            if let Some(slot) = next.get_mut(index + 1) {
                *slot |= advance;
            }
        }
        reached = next;
        pass_without_reading(expression, &mut reached, name.get(position + 1).copied());
    }
    reached.last().is_some_and(|end| *end)
}

/// Extends `reached` over what matches nothing before `next`, the character ahead.
fn pass_without_reading(expression: &[u16], reached: &mut [bool], next: Option<u16>) {
    for (index, wanted) in expression.iter().enumerate() {
        let passes = match u8::try_from(*wanted) {
            Ok(b'*' | b'<') => true,
            Ok(b'>') => next.is_none_or(|next| next == u16::from(b'.')),
            Ok(b'"') => next.is_none(),
            _ => false,
        };
        if passes
            && reached.get(index).is_some_and(|reached| *reached)
            && let Some(slot) = reached.get_mut(index + 1)
        {
            *slot = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(expression: &str, name: &str) -> bool {
        let wide = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        matches(&wide(expression), &wide(name), true)
    }

    #[track_caller]
    fn check(expression: &str, yes: &[&str], no: &[&str]) {
        for name in yes {
            assert!(
                is_match(expression, name),
                "{expression} should match {name}"
            );
        }
        for name in no {
            assert!(
                !is_match(expression, name),
                "{expression} should not match {name}"
            );
        }
    }

    #[test]
    fn star_and_question_mark() {
        check("*", &["a", "a.b", ".", "..x"], &[]);
        check("*.*", &["a.b", "a.", ".b", "a.b.c"], &["a", "ab"]);
        check(
            "*.txt",
            &["a.txt", "A.TXT", ".txt", "a.b.txt"],
            &["a.txt2", "atxt"],
        );
        check("a?c", &["abc", "a.c"], &["ac", "abbc"]);
        check("a*b*c", &["abc", "axxbyyc", "abbc"], &["ab", "acb"]);
        check("??", &["ab"], &["a", "abc"]);
    }

    #[test]
    fn dos_star_leaves_the_last_period() {
        check("<.txt", &["a.txt", "a.b.txt"], &["a.txt.c", "a"]);
        check("<", &["abc"], &["a.b"]);
        check("<.", &["a.b."], &["a.b", "ab"]);
        check("<.<", &["a.b", "a.b.c"], &["ab"]);
        check("<.*", &["a.b", "a."], &["ab"]);
    }

    #[test]
    fn dos_question_mark_gives_way_at_period_and_end() {
        check("a>>>", &["a", "ab", "abcd"], &["abcde", "a.b"]);
        check(">>>.txt", &["a.txt", "abc.txt", ".txt"], &["abcd.txt"]);
        check(">>>\">>>", &["abc", "ab.c", "a."], &["abcd", "a.bcde"]);
    }

    #[test]
    fn dos_dot_is_a_period_or_the_end() {
        check("a\"", &["a", "a."], &["ab", "a.b"]);
        check("a\"b", &["a.b"], &["ab", "a"]);
        check("*\"*", &["a", "a.b"], &[]);
        // What Win32 makes of `*.` : names without an extension.
        check("<\"", &["abc", "abc."], &["a.b"]);
    }

    #[test]
    fn case_and_emptiness() {
        check("ÄB", &["äb"], &["ab"]);
        let wide = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        assert!(!matches(&wide("A"), &wide("a"), false));
        assert!(matches(&[], &[], true));
        assert!(!matches(&wide("*"), &[], true));
        assert!(!matches(&[], &wide("a"), true));
    }

    #[test]
    fn long_patterns_take_no_exponential_time() {
        let expression: String = "*a".repeat(60);
        let name = "a".repeat(59);
        assert!(!is_match(&expression, &name));
        assert!(is_match(&expression, &"a".repeat(60)));
    }
}
