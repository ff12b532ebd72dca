//! Makes an input of the target `log_files` from a partition's directory: `cargo run --example pack DIRECTORY FLAGS > input`.

use std::io::Write as _;

use ottla_fuzz::pack;

fn main() {
    let mut args = std::env::args().skip(1);
    let directory = args.next().expect("pack DIRECTORY FLAGS");
    let flags: u8 = args.next().expect("pack DIRECTORY FLAGS").parse().expect("flags are a byte");
    let mut out = vec![flags];
    let mut names: Vec<_> = std::fs::read_dir(directory).expect("the directory").flatten().collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    for entry in names {
        let name = entry.file_name().into_string().expect("a name of Kafka's is ASCII");
        let base: u16 = name.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        for kind in 0..pack::KINDS.len() {
            if pack::path(kind, base).trim_start_matches("t-0/") == name {
                let bytes = std::fs::read(entry.path()).expect("the file");
                out.extend(pack::file(kind, base, &bytes).unwrap_or_else(|| panic!("{name} is too long")));
            }
        }
    }
    std::io::stdout().write_all(&out).expect("standard output takes it");
}
