//! What a filter keeps, by its types: all that requests and devices need to know of it.

use core::marker::PhantomData;

/// The types of what is kept for a filter with its devices and handles. Every filter has them from the types of
/// these names that it has as a [`Filter`](crate::driver::Filter). Of a type that implements this by itself there are
/// neither devices nor requests. What lies below the filter asks for no more, and calls nothing of it.
pub trait Keeps: Send + Sync + Sized + 'static {
    /// What is kept with each filter device: [`Filter::Attachment`](crate::driver::Filter::Attachment).
    type Attachment: Send + Sync + 'static;

    /// What is kept with each handle of the control device: [`Filter::Client`](crate::driver::Filter::Client).
    type Client: Send + Sync + 'static;
}

/// Makes a type invariant in the filter `F`. Two filters may be one type but for a lifetime, one of them a subtype of
/// the other, and keep different things: a request or a device of the one never passes for one of the other (A9).
pub(crate) type Exactly<F> = PhantomData<fn(F) -> F>;
