pub(crate) fn cases() -> Vec<crate::Case> {
    Vec::new()
}
