//! The buffers that a request was sent with, and who has passed it on with others.

/// `MdlAddress`, `AssociatedIrp.SystemBuffer` and `UserBuffer`, as addresses.
pub type Fields = [usize; 3];

/// `UserIosb`, `UserEvent`, `UserApcRoutine` and `UserApcContext`, as addresses.
pub type EndingFields = [usize; 4];

/// What tells the sender of a request of its end.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    had: EndingFields,
    /// The call that passed the request on with another one in each, or 0.
    by: EndingFields,
}

impl Ending {
    /// Of a request that is sent.
    pub fn new(had: EndingFields) -> Self {
        Self { had, by: [0; 4] }
    }

    /// It is passed on by the call of a driver that returns to `site`.
    pub fn passed_on(&mut self, now: EndingFields, site: usize) {
        for ((had, by), now) in self.had.iter().zip(&mut self.by).zip(now) {
            match *by {
                _ if *had == now => *by = 0,
                0 => *by = site,
                _ => {}
            }
        }
    }

    /// The fields that are not as they were, by number, with what they had and, if it is known, who has changed it.
    pub fn changed(self, now: EndingFields) -> impl Iterator<Item = (usize, usize, usize)> {
        let fields = self.had.into_iter().zip(self.by).zip(now).enumerate();
        fields.filter_map(|(field, ((had, by), now))| (had != now).then_some((field, had, by)))
    }
}

/// What the fields were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Buffers {
    /// Null where nobody has to put it back.
    had: Fields,
    /// The call that passed the request on with another one in each, or 0.
    by: [usize; 3],
}

impl Buffers {
    /// Of a request that is sent.
    pub fn new(had: Fields) -> Self {
        Self { had, by: [0; 3] }
    }

    /// It is passed on by the call of a driver that returns to `site`.
    pub fn passed_on(&mut self, now: Fields, site: usize) {
        for ((had, by), now) in self.had.iter().zip(&mut self.by).zip(now) {
            match *by {
                _ if *had == now => *by = 0,
                0 if *had != 0 => *by = site,
                _ => {}
            }
        }
    }

    /// The fields that are not as they were, by number, with what they had and who has exchanged it.
    pub fn exchanged(self, now: Fields) -> impl Iterator<Item = (usize, usize, usize)> {
        let fields = self.had.into_iter().zip(self.by).zip(now).enumerate();
        fields.filter_map(|(field, ((had, by), now))| {
            (by != 0 && had != now).then_some((field, had, by))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_as_it_was() {
        let mut ending = Ending::new([0x10, 0, 0x30, 0]);
        let all = |ending: Ending, now| ending.changed(now).collect::<Vec<_>>();
        ending.passed_on([0x10, 0, 0x30, 0], 0x1);
        assert_eq!(all(ending, [0x10, 0, 0x30, 0]), []);
        assert_eq!(all(ending, [0x10, 0, 0, 0]), [(2, 0x30, 0)]);
        ending.passed_on([0x10, 0, 0x30, 0x40], 0x2);
        ending.passed_on([0x10, 0, 0x30, 0x41], 0x3);
        assert_eq!(all(ending, [0x10, 0, 0x30, 0x41]), [(3, 0, 0x2)]);
        ending.passed_on([0x10, 0, 0x30, 0], 0x4);
        assert_eq!(all(ending, [0x10, 0, 0x30, 0x41]), [(3, 0, 0)]);
    }

    #[test]
    fn what_is_put_back_was_not_exchanged() {
        let mut buffers = Buffers::new([0x10, 0x20, 0]);
        let all = |buffers: Buffers, now| buffers.exchanged(now).collect::<Vec<_>>();
        // The file system fills in what is null.
        buffers.passed_on([0x10, 0x20, 0x30], 0x1);
        assert_eq!(all(buffers, [0x11, 0x20, 0x31]), []);
        buffers.passed_on([0x11, 0x20, 0], 0x2);
        buffers.passed_on([0x12, 0x20, 0], 0x3);
        assert_eq!(all(buffers, [0x12, 0x20, 0]), [(0, 0x10, 0x2)]);
        assert_eq!(all(buffers, [0x10, 0x20, 0]), []);
        // Sent down once more as it was.
        buffers.passed_on([0x10, 0x20, 0], 0x4);
        assert_eq!(all(buffers, [0x12, 0x20, 0]), []);
    }
}
