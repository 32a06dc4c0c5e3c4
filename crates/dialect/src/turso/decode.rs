//! From a request to a call.

use annals_model::{Fault, PageQuery};

use crate::{Context, Request, asked};

const PAGE_SIZE_DEFAULT: u64 = 100;
const PAGE_SIZE_MAX: u64 = 1_000;

/// Which page is asked for.
pub(crate) struct Place {
    /// From 1.
    pub(crate) page: u64,
    /// From 1 to [`PAGE_SIZE_MAX`].
    pub(crate) page_size: u64,
}

impl Place {
    /// Reads `page` and `page_size`.
    pub(crate) fn of(request: &Request) -> Result<Place, Fault> {
        let page = asked::whole_number(request, "page")?.unwrap_or(1);
        if page == 0 {
            return Err(asked::invalid("page", "must be at least 1"));
        }
        let page_size = asked::whole_number(request, "page_size")?.unwrap_or(PAGE_SIZE_DEFAULT);
        if !(1..=PAGE_SIZE_MAX).contains(&page_size) {
            return Err(asked::invalid("page_size", &format!("must be from 1 to {PAGE_SIZE_MAX}")));
        }
        Ok(Place { page, page_size })
    }
}

/// A page, the last to have occurred first.
pub(crate) fn list(request: &Request, context: &Context) -> Result<PageQuery, Fault> {
    asked::entitled(context)?;
    let place = Place::of(request)?;
    let offset = place.page.saturating_sub(1).saturating_mul(place.page_size);
    let limit = usize::try_from(place.page_size).unwrap_or(usize::MAX);
    Ok(asked::page(context, asked::clients_only(), offset, limit))
}
