//! What a handler's question to the controller and whoever runs the handler tell each other, past the handler itself:
//! that the lead was lost meanwhile (the request is then tried elsewhere), or that the question has its outcome
//! already (nobody led in time).

use std::cell::Cell;

use super::Unavailable;

tokio::task_local! {
    static GATE: Gate;
}

struct Gate {
    verdict: Option<Unavailable>,
    lost: Cell<bool>,
}

/// Runs a handler. With a verdict, its questions to the controller end with that. The second value says whether one
/// of them found this node not leading.
pub(super) async fn watched<T>(verdict: Option<Unavailable>, handler: impl Future<Output = T>) -> (T, bool) {
    let gate = Gate { verdict, lost: Cell::new(false) };
    GATE.scope(gate, async {
        let outcome = handler.await;
        (outcome, GATE.with(|gate| gate.lost.get()))
    })
    .await
}

/// The outcome that a question has before it is asked.
pub(crate) fn verdict() -> Option<Unavailable> {
    GATE.try_with(|gate| gate.verdict.clone()).ok().flatten()
}

/// This node turned out not to lead.
pub(super) fn lost() {
    // Outside of a gate nobody wants to know.
    let _ = GATE.try_with(|gate| gate.lost.set(true));
}
