//! The nouns of an audit log, as values and pure functions: event, filter, order, page, cursor,
//! call, outcome, fault, limits, and the canonical form that commitments are made over.
//!
//! **Invariant:** no I/O, no async, no clock, no HTTP, and no vendor's name in here. What depends
//! on the time of day takes it as an argument.

mod call;
mod canonical;
mod count;
mod cursor;
mod event;
mod fault;
mod filter;
mod key;
pub mod limits;
mod mask;
mod order;
mod organization;
mod page;
mod parse;
mod pattern;
mod terms;
mod time;
mod value;

pub use call::{Appended, Call, Export, Outcome};
pub use canonical::{Canonical, Member};
pub use count::{Facet, FacetQuery, Histogram, HistogramQuery};
pub use cursor::{Cursor, CursorError};
pub use event::{Access, Actor, Content, Event, NewEvent, Request, Target};
pub use fault::{Fault, FaultKind, Location};
pub use filter::{Condition, Field, Filter, TimeRange};
pub use key::{ApiKey, KeyError, NewKey, Scope};
pub use mask::Mask;
pub use order::{Direction, Order, OrderField};
pub use organization::{NewOrganization, Organization, OrganizationPatch, SYSTEM_ORGANIZATION};
pub use page::{Page, PageQuery, Reach, Start};
pub use parse::parse_content;
pub use pattern::{Glob, Pattern};
pub use terms::{each_access, each_term, each_word, words_of};
pub use time::{Time, TimeError};
pub use value::{JsonError, JsonErrorKind, ListError, Object, Value};
