//! stub
/// stub
pub struct Options {
    /// x
    pub read_only: bool,
    /// x
    pub ascii: bool,
    /// x
    pub color: bool,
    /// x
    pub gate: crate::chain::Gate,
    /// x
    pub banner: Option<String>,
}
/// stub
pub fn usable() -> bool {
    false
}
/// stub
pub fn run(_: Vec<std::path::PathBuf>, _: Options) -> anyhow::Result<()> {
    Ok(())
}
