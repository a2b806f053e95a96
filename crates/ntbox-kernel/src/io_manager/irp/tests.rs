use super::*;
use crate::nt::{STATUS_NOT_SUPPORTED, STATUS_SUCCESS};

#[test]
fn an_allocated_request_stands_above_its_top_location() {
    let irp = allocate(3);
    // SAFETY: the request is alive and owned here.
    unsafe {
        assert_eq!(((*irp).StackCount, (*irp).CurrentLocation), (3, 4));
        assert_eq!(irp.current_location(), irp.location(4));
        assert_eq!(irp.next_location(), irp.location(3));
        assert_eq!(usize::from((*irp).Size), size_of_irp(3));
        assert_eq!((*irp).Type, IO_TYPE_IRP);
        assert_eq!(identity(irp), Identity::default());
        let wanted = Identity {
            value: 7,
            ..Identity::default()
        };
        set_identity(irp, wanted);
        assert_eq!(identity(irp), wanted);
        free(irp, 0);
    }
    assert!(allocate(0).is_null());
    assert!(allocate(-1).is_null());
}

#[test]
fn reuse_resets_all_but_the_status_it_is_given() {
    let irp = allocate(2);
    // SAFETY: the request is alive and owned here.
    unsafe {
        advance(irp);
        (*irp).Flags = 5;
        (*irp).Cancel = true;
        reuse(irp, STATUS_NOT_SUPPORTED, 0);
        assert_eq!(
            ((*irp).CurrentLocation, (*irp).Flags, (*irp).Cancel),
            (3, 0, false)
        );
        assert_eq!((*irp).IoStatus.Anonymous.Status, STATUS_NOT_SUPPORTED);
        initialize(irp, (*irp).Size, 2, 0);
        assert_eq!((*irp).IoStatus.Anonymous.Status, STATUS_SUCCESS);
        free(irp, 0);
    }
}

#[test]
fn memory_of_a_drivers_own_has_no_prefix() {
    let mut memory = vec![0_u128; size_of_irp(2).div_ceil(16)];
    let irp: *mut IRP = memory.as_mut_ptr().cast();
    // SAFETY: the memory is large enough and owned here.
    unsafe {
        initialize(irp, size_of_irp(2) as u16, 2, 0);
        assert!(tracker(irp).is_none());
        set_identity(
            irp,
            Identity {
                value: 1,
                ..Identity::default()
            },
        );
        assert_eq!(identity(irp), Identity::default());
        assert_eq!((*irp).CurrentLocation, 3);
    }
}

#[test]
fn copying_leaves_out_the_completion_routine() {
    unsafe extern "win64" fn routine(
        _: *mut crate::nt::DEVICE_OBJECT,
        _: *mut IRP,
        _: *mut std::ffi::c_void,
    ) -> NTSTATUS {
        STATUS_SUCCESS
    }
    let irp = allocate(2);
    // SAFETY: the request is alive and owned here.
    unsafe {
        set_completion_routine(irp, Some(routine), irp.cast(), super::super::stack::ALWAYS);
        advance(irp);
        let current = irp.current_location();
        (*current).MajorFunction = 3;
        (*current).Flags = 9;
        (*current).Parameters.Read.Length = 77;
        copy_to_next(irp);
        let next = irp.next_location();
        assert_eq!(
            ((*next).MajorFunction, (*next).Flags, (*next).Control),
            (3, 9, 0)
        );
        assert_eq!((*next).Parameters.Read.Length, 77);
        assert!((*next).CompletionRoutine.is_none() && (*next).Context.is_null());
        mark_pending(irp);
        skip(irp);
        assert_eq!((*irp).CurrentLocation, 3);
        free(irp, 0);
    }
}
