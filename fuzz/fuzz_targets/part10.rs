#![no_main]
#[path = "../targets/data_set.rs"]
mod data_set;
#[path = "../targets/part10.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
