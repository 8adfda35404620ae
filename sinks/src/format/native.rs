use super::Source;

pub(super) fn event(source: &Source<'_>) -> Vec<u8> {
    audit::line(source.index, source.opened, source.leaf, source.disclosures)
}
