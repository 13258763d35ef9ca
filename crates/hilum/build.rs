//! The web application is embedded from `web/dist`. Where it was not built,
//! the folder is empty and the server says how to build it.

fn main() -> std::io::Result<()> {
    let dist = std::path::Path::new("../../web/dist");
    std::fs::create_dir_all(dist)?;
    println!("cargo::rerun-if-changed=../../web/dist");
    println!("cargo::rerun-if-changed=../../web/csp.json");
    Ok(())
}
