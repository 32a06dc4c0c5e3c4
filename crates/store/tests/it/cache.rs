//! The cache of pages: its bound, under load, and what it remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use annals_store::{CacheStats, PageCache, PageKey};

const MIB: usize = 1024 * 1024;

fn page(key: PageKey, bytes: usize) -> Arc<[u8]> {
    vec![(key.blob ^ key.offset) as u8; bytes].into()
}

fn loaded(cache: &PageCache, blob: u64, offset: u64, bytes: usize) -> Arc<[u8]> {
    let key = PageKey { blob, offset };
    cache.get_or_load::<()>(key, || Ok(page(key, bytes))).unwrap()
}

#[test]
fn a_page_is_loaded_once() {
    let cache = PageCache::new(MIB);
    assert_eq!(loaded(&cache, 1, 0, 1000), loaded(&cache, 1, 0, 1000));
    let CacheStats { hit_count, miss_count, bytes } = cache.stats();
    assert_eq!((hit_count, miss_count), (1, 1));
    assert!((1000..1300).contains(&bytes), "{bytes}");
    // Another place and another blob are other pages.
    loaded(&cache, 1, 1, 1000);
    loaded(&cache, 2, 0, 1000);
    assert_eq!(cache.stats().miss_count, 3);
}

#[test]
fn a_load_that_failed_is_not_remembered() {
    let cache = PageCache::new(MIB);
    let key = PageKey { blob: 1, offset: 0 };
    assert_eq!(cache.get_or_load(key, || Err("the disk")), Err("the disk"));
    assert_eq!(cache.stats(), CacheStats { hit_count: 0, miss_count: 1, bytes: 0 });
    assert_eq!(cache.get_or_load::<()>(key, || Ok(page(key, 7))).unwrap().len(), 7);
    assert_eq!(cache.stats().miss_count, 2);
}

#[test]
fn a_load_that_failed_harms_nobody_who_waited_for_it() {
    let cache = PageCache::new(MIB);
    let key = PageKey { blob: 1, offset: 0 };
    let loads = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let first = cache.get_or_load(key, || match loads.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(()),
                    _ => Ok(page(key, 7)),
                });
                if let Ok(page) = first {
                    assert_eq!(page.len(), 7);
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), 2, "one failed, one succeeded, and the others waited");
}

#[test]
fn the_bound_holds_under_concurrent_load() {
    const CAPACITY: usize = 8 * MIB;
    let cache = PageCache::new(CAPACITY);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let cache = &cache;
            scope.spawn(move || {
                let mut number = thread + 1;
                for _ in 0..5_000 {
                    number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let (blob, offset) = (number >> 60, (number >> 40) % 100);
                    // Depends on the key, as a page's length does.
                    let bytes = 1 + (blob * 4_099 + offset * 655) as usize;
                    let found = loaded(cache, blob, offset, bytes);
                    let key = PageKey { blob, offset };
                    assert!(found == page(key, bytes), "another page than {key:?}");
                    assert!(cache.stats().bytes <= CAPACITY as u64, "{:?}", cache.stats());
                }
            });
        }
    });
    let stats = cache.stats();
    assert_eq!(stats.hit_count + stats.miss_count, 20_000);
    assert!(stats.bytes > CAPACITY as u64 / 2, "{stats:?}");
}

#[test]
fn a_cache_without_capacity_keeps_nothing() {
    let cache = PageCache::new(0);
    assert_eq!(loaded(&cache, 1, 0, 100).len(), 100);
    assert_eq!(loaded(&cache, 1, 0, 100).len(), 100);
    assert_eq!(cache.stats(), CacheStats { hit_count: 0, miss_count: 2, bytes: 0 });
}

#[test]
fn a_forgotten_blob_has_no_pages() {
    let cache = PageCache::new(MIB);
    for offset in 0..4 {
        loaded(&cache, 1, offset, 1000);
        loaded(&cache, 2, offset, 1000);
    }
    let before = cache.stats().bytes;
    cache.forget(1);
    assert_eq!(cache.stats().bytes, before / 2);
    loaded(&cache, 2, 0, 1000);
    assert_eq!(cache.stats().hit_count, 1);
    loaded(&cache, 1, 0, 1000);
    assert_eq!(cache.stats().miss_count, 9);
}
