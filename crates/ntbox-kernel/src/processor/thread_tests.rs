//! Threads have ids, objects, processes and processors.

use super::*;

#[test]
fn threads_have_ids_objects_and_processes() {
    let me = current();
    assert!(std::ptr::eq(me, current()));
    assert_eq!(me.id() % 4, 0);
    assert!(from_object(me.object()).is_some_and(|thread| std::ptr::eq(thread, me)));
    assert!(from_object(std::ptr::null_mut()).is_none());
    assert!(!me.is_system() && me.process() == user_process());
    assert!(running().iter().any(|thread| thread.id() == me.id()));
    spawn_system("system test", || {
        assert!(current().is_system() && current().process() == system_process());
        assert_eq!(
            (current().name(), current().token()),
            ("system test", Token::System)
        );
    })
    .join()
    .expect("no panic");
}

#[test]
fn threads_that_run_together_have_processors_of_their_own() {
    let me = current().processor();
    let other = std::thread::spawn(|| current().processor())
        .join()
        .expect("no panic");
    assert!(me < PROCESSORS && other < PROCESSORS);
    assert_ne!(me, other);
}

#[test]
fn previous_mode_lasts_for_the_call() {
    assert_eq!(previous_mode(), 0);
    let inner = from_user_mode(|| {
        (
            previous_mode(),
            from_kernel_mode(previous_mode),
            previous_mode(),
        )
    });
    assert_eq!(inner, (1, 0, 1));
    assert_eq!(previous_mode(), 0);
}
