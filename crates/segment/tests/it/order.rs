//! Keys in orders.

use std::cmp::Ordering;

use annals_model::{Direction, Order, OrderField, Time};
use annals_segment::Key;

fn key(time_s: i64, status: u16, position: u64) -> Key {
    Key { time: Time::from_s(time_s), status, position }
}

fn check(order: &[(OrderField, Direction)], first: Key, second: Key) {
    let order = Order(order.to_vec());
    assert_eq!(first.compare(&second, &order), Ordering::Less, "{order:?}");
    assert_eq!(second.compare(&first, &order), Ordering::Greater, "{order:?}");
    assert_eq!(first.compare(&first, &order), Ordering::Equal, "{order:?}");
}

#[test]
fn the_first_field_that_differs_decides_and_then_the_place_in_the_last_direction() {
    use Direction::{Ascending, Descending};
    use OrderField::{Place, Status, TimeOccurred};
    check(&[(Place, Ascending)], key(9, 9, 1), key(0, 0, 2));
    check(&[(Place, Descending)], key(0, 0, 2), key(9, 9, 1));
    check(&[(TimeOccurred, Ascending)], key(-1, 0, 2), key(1, 0, 1));
    check(&[(TimeOccurred, Ascending)], key(1, 0, 1), key(1, 0, 2));
    check(&[(TimeOccurred, Descending)], key(1, 0, 2), key(1, 9, 1));
    check(&[(TimeOccurred, Descending), (Place, Ascending)], key(1, 0, 1), key(1, 9, 2));
    check(&[(Status, Descending), (TimeOccurred, Ascending)], key(9, 500, 9), key(1, 404, 1));
    check(&[(Status, Descending), (TimeOccurred, Ascending)], key(1, 404, 9), key(2, 404, 1));
    check(&[(Status, Descending), (TimeOccurred, Ascending)], key(1, 404, 1), key(1, 404, 2));
    check(&[(Place, Ascending), (Status, Descending)], key(1, 0, 1), key(1, 9, 2));
    check(&[], key(0, 0, 2), key(0, 0, 1));
}
