//! Lists that are read whole, a batch at a time.
//!
//! **Invariant:** what is read is as of the start, whatever is appended meanwhile.

use std::sync::Arc;

use annals_model::{Event, Export, Fault, PageQuery, Start, limits};

use crate::{Ledger, Shared};

/// Reads a list to its end.
pub struct Reader {
    shared: Arc<Shared>,
    query: PageQuery,
    /// Events that there were at the start.
    committed: u64,
    done: bool,
}

impl Ledger {
    /// Begins to read a list.
    ///
    /// # Errors
    ///
    /// As for a page.
    pub fn export(&self, export: &Export) -> Result<Reader, Fault> {
        let committed = self.shared.tail.committed();
        let mut query = PageQuery {
            reach: export.reach.clone(),
            filter: export.filter.clone(),
            order: export.order.clone(),
            start: Start::Offset(0),
            limit: limits::PAGE_EVENTS_MAX,
            total: false,
        };
        // Already the first page is as of now, whenever it is read; and as of the same moment as the end,
        // or an event from between the two would end the list too early.
        query.start = Start::Cursor(self.shared.begin(&query, committed)?);
        Ok(Reader { shared: Arc::clone(&self.shared), query, committed, done: false })
    }
}

impl Reader {
    /// The next events; none at the end. Takes processor time, and reads from disk what is not in the
    /// cache. Each batch has a query's time.
    ///
    /// # Errors
    ///
    /// As for a page: then what was read is not the whole.
    pub fn next_batch(&mut self) -> Result<Vec<Event>, Fault> {
        if self.done {
            return Ok(Vec::new());
        }
        let page = self.shared.page(&self.query)?;
        let mut events = page.events;
        let until = events.len();
        events.retain(|event| event.position < self.committed);
        match page.next {
            // In a list that goes on, the first event from after the start ends it.
            Some(next) if events.len() == until && until == self.query.limit => self.query.start = Start::Cursor(next),
            _ => self.done = true,
        }
        Ok(events)
    }
}
